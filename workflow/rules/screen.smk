# Successive halving: brief trainings of all candidates, of which the better half goes on. Only in
# the first stage of an experiment with `screening`; what it leaves decides about the second.

if IS_SCREENING:

    localrules:
        halve_candidates,
        decide_screening,

    rule screen_run:
        """Train a candidate to the end of a round, or go on with it from the last one."""
        input:
            data_check=of_dataset("check.json"),
            model_check=f"{RESULTS}/check/{{model}}/{{initialization}}.json",
            manifest=of_dataset("manifest.json"),
            config=config_of_candidate,
            weights=lambda w: STARTS.inputs(candidate_of(w)),
        output:
            f"{SCREENING}/{{round}}/{{model}}/{{initialization}}.json",
        log:
            logs("screen_run", f"{OF_MODEL}_{{round}}"),
        benchmark:
            benchmarks("screen_run", f"{OF_MODEL}_{{round}}")
        wildcard_constraints:
            round=r"round\d+",
        conda:
            "../../envs/segbench.yaml"
        threads: 8
        resources:
            gpu=lambda w: STARTS.training(candidate_of(w)).gpus_per_run or 1,
        params:
            # that of a whole training, of which this is the beginning
            code=code("train_run.py"),
            own_code=code("screen_run.py"),
            work=WORK,
            share=lambda w: SCREENED.rounds[w.round].share,
            # a function of `output` is no reason to run again
            how=lambda w, output: STARTS.training(candidate_of(w)).how,
            came_from=lambda w: JOBS.of_training(candidate_of(w)),
        script:
            "../scripts/screen_run.py"

    checkpoint halve_candidates:
        """Say who goes on after a round."""
        input:
            trainings_of_round,
        output:
            f"{SCREENING}/{{round}}.json",
        log:
            logs("halve_candidates", f"{EXPERIMENT.experiment}_{{round}}"),
        benchmark:
            benchmarks("halve_candidates", f"{EXPERIMENT.experiment}_{{round}}")
        wildcard_constraints:
            round=r"round\d+",
        conda:
            "../../envs/segbench.yaml"
        params:
            code=code("halve_candidates.py"),
            number=lambda w: SCREENED.rounds[w.round].number,
            share=lambda w: SCREENED.rounds[w.round].share,
            keep=lambda w: SCREENED.rounds[w.round].keep,
        script:
            "../scripts/halve_candidates.py"

    rule decide_screening:
        """Leave which candidates are compared."""
        input:
            expand(f"{SCREENING}/{{round}}.json", round=SCREENED.rounds),
        output:
            f"{RESULTS}/{DECISION}",
        log:
            logs("decide_screening"),
        benchmark:
            benchmarks("decide_screening")
        conda:
            "../../envs/segbench.yaml"
        params:
            code=code("decide_screening.py"),
            origin=SCREENED.origin,
            not_screened=SCREENED.not_screened,
        script:
            "../scripts/decide_screening.py"


if SCREENED is not None:

    rule draw_screening:
        """Show what the screening found."""
        input:
            decision=f"{RESULTS}/{DECISION}",
        output:
            multiext(f"{RESULTS}/tables/screening", ".md", ".tex"),
            f"{RESULTS}/figures/screening.png",
            table=f"{RESULTS}/tables/screening.csv",
            figure=report(
                f"{RESULTS}/figures/screening.svg",
                category="Screening",
                caption="../report/screening.rst",
                labels={"shows": "who went on", "as": "curves"},
            ),
            page=report(
                f"{RESULTS}/tables/screening.html",
                category="Screening",
                caption="../report/screening.rst",
                labels={"shows": "who went on", "as": "table"},
            ),
        log:
            logs("draw_screening"),
        benchmark:
            benchmarks("draw_screening")
        conda:
            "../../envs/segbench.yaml"
        params:
            code=code("draw_screening.py"),
        script:
            "../scripts/draw_screening.py"
