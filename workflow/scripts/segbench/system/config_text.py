"""What of the text of a rendered config shapes a training.

How its classes are shown does not, nor which images the trained model is compared on.
"""

import ast

# where the images that models are compared on come from
AFTER_TRAINING = frozenset({"test_dataloader"})
SHOWN_ONLY = "metainfo"  # names and colours of the classes; the model itself has their number


def what_counts(text: str) -> str:
    """A rendered config without names and colours of classes, and without its test images.

    Args:
        text: Python source of assignments, as it is rendered.

    Raises:
        SyntaxError: it is not Python.
    """
    return ast.dump(_WithoutShown().visit(ast.parse(text)))


class _WithoutShown(ast.NodeTransformer):
    """Leaves out `metainfo=...` of every `dict(...)`, and what happens after a training."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        """An assignment, unless it is of what happens after a training."""
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        return None if names & AFTER_TRAINING else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call without that argument."""
        node.keywords = [one for one in node.keywords if one.arg != SHOWN_ONLY]
        return self.generic_visit(node)
