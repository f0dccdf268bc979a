"""The published models of MMSegmentation: names, scores, weights, and what their configs say.

Read as text from the installed package; nothing of it is imported, so a dry run may ask. Must not
know experiments, prepared datasets or torch.
"""
