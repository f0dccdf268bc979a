"""What of the text of a rendered config shapes a training: all but how its classes are shown."""

import ast

SHOWN_ONLY = "metainfo"  # names and colours of the classes; the model itself has their number


def what_counts(text: str) -> str:
    """A rendered config without the names and colours of its classes.

    Args:
        text: Python source of assignments, as it is rendered.

    Raises:
        SyntaxError: it is not Python.
    """
    return ast.dump(_WithoutShown().visit(ast.parse(text)))


class _WithoutShown(ast.NodeTransformer):
    """Leaves `metainfo=...` out of every `dict(...)`."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call without that argument."""
        node.keywords = [one for one in node.keywords if one.arg != SHOWN_ONLY]
        return self.generic_visit(node)
