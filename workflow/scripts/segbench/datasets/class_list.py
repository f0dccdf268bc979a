"""The classes of a dataset: their names and colours, and what belongs to each of them.

Knows the schema of a class list; reads no image.
"""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from segbench.config.schema import Section, integer_from_text, tuple_from_list

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
IGNORE_INDEX = 255
NOT_PAINTED = -1

Channel = Annotated[int, BeforeValidator(integer_from_text), Field(ge=0, le=255)]
Color = Annotated[tuple[Channel, Channel, Channel], BeforeValidator(tuple_from_list)]
Texts = Annotated[tuple[str, ...], BeforeValidator(tuple_from_list)]
Values = Annotated[tuple[Channel, ...], BeforeValidator(tuple_from_list)]
# a coarser class and the ids of the classes that belong to it
Ids = Annotated[tuple[int, ...], BeforeValidator(tuple_from_list)]
Group = Annotated[tuple[str, Ids], BeforeValidator(tuple_from_list)]
Groups = Annotated[tuple[Group, ...], BeforeValidator(tuple_from_list)]


class Class(Section):
    """One class: its name and colour, and what belongs to it in the source's labels."""

    name: str = Field(
        min_length=1,
        max_length=60,
        pattern=PRINTABLE,
        description="shown in tables and figures, and how `class_map` calls it; another name "
        "trains nothing again",
    )
    color: Color = Field(
        description="red, green and blue, 0 to 255; another colour only draws figures anew, except "
        "where labels in RGB are read by it; checkpoints keep the names and colours of their day"
    )
    labels: Texts = Field(default=(), description="names of the polygons that belong to it")
    values: Values = Field(
        default=(), description="values in an index map that belong to it; default: its position"
    )
    colors: Annotated[tuple[Color, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(), description="colours in an RGB map that belong to it; default: its `color`"
    )


class ClassList(Section):
    """The classes that a model learns, in the order of their ids."""

    classes: Annotated[tuple[Class, ...], BeforeValidator(tuple_from_list)] = Field(
        min_length=2, max_length=254, description="the classes; the first one gets id 0"
    )
    ignore_labels: Texts = Field(
        default=(), description="polygons painted as void, which is neither learnt nor scored"
    )
    unpainted_labels: Texts = Field(
        default=(), description="polygons that are left out, so that what lies below them shows"
    )
    ignore_values: Values = Field(default=(255,), description="void values in an index map")
    ignore_colors: Annotated[tuple[Color, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(), description="void colours in an RGB map"
    )

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        refuse_twice("class name", [found.name for found in self.classes])
        names = [label for found in self.classes for label in found.labels]
        refuse_twice("label", [*names, *self.ignore_labels, *self.unpainted_labels])
        values = [value for found in self.classes for value in found.values]
        refuse_twice("value of a class", values)
        for value in self.ignore_values:
            if value in (values or range(len(self.classes))):
                raise ValueError(
                    f"the value {value} is in `ignore_values` and belongs to a class as well; give "
                    "every class its `values`"
                )
        colors = [color for found in self.classes for color in found.colors]
        refuse_twice("colour", [*colors, *self.ignore_colors])
        return self

    def id_of_label(self) -> dict[str, int]:
        """Map polygon labels to class ids, void ones to the ignore index."""
        ids = {label: i for i, found in enumerate(self.classes) for label in found.labels}
        ids |= dict.fromkeys(self.ignore_labels, IGNORE_INDEX)
        return ids | dict.fromkeys(self.unpainted_labels, NOT_PAINTED)

    def id_of_value(self) -> dict[int, int]:
        """Map values of an index map to class ids, void ones to the ignore index."""
        given = any(found.values for found in self.classes)
        ids = {
            value: i
            for i, found in enumerate(self.classes)
            for value in (found.values if given else (i,))
        }
        return ids | dict.fromkeys(self.ignore_values, IGNORE_INDEX)

    def grouping(self, finer: "ClassList") -> "ClassList":
        """These classes, with the values of the finer classes whose labels they have.

        Args:
            finer: the list whose ids stand in an index map.

        Raises:
            ValueError: a finer class belongs to none of these, or to more than one.
        """
        own = self._id_of(finer)
        values: dict[int, list[int]] = {}
        for value, i in finer.id_of_value().items():
            values.setdefault(own.get(i, IGNORE_INDEX), []).append(value)
        classes = (
            found.model_copy(update={"values": tuple(values.get(i, ()))})
            for i, found in enumerate(self.classes)
        )
        ignored = tuple(values.get(IGNORE_INDEX, ()))
        return self.model_copy(update={"classes": tuple(classes), "ignore_values": ignored})

    def groups(self, finer: "ClassList") -> tuple[Group, ...]:
        """Each of these classes with the ids of the finer classes whose labels it has.

        Raises:
            ValueError: a finer class belongs to none of these, or to more than one.
        """
        own = self._id_of(finer)
        return tuple(
            (found.name, tuple(i for i, target in own.items() if target == place))
            for place, found in enumerate(self.classes)
        )

    def _id_of(self, finer: "ClassList") -> dict[int, int]:
        """The class here, or void, of each class of a finer list, by its id there."""
        own = self.id_of_label() | dict.fromkeys(self.unpainted_labels, IGNORE_INDEX)
        found = dict[int, int]()
        for i, one in enumerate(finer.classes):
            targets = {own.get(label) for label in one.labels}
            target = next(iter(targets), None)
            if target is None or len(targets) > 1:
                raise ValueError(
                    f"'{one.name}' cannot be grouped: its labels ({', '.join(one.labels)}) must "
                    "all belong to the same class here"
                )
            found[i] = target
        return found

    def id_of_color(self) -> dict[tuple[int, int, int], int]:
        """Map colours of an RGB map to class ids, void ones to the ignore index."""
        ids = {
            color: i
            for i, found in enumerate(self.classes)
            for color in (found.colors or (found.color,))
        }
        return ids | dict.fromkeys(self.ignore_colors, IGNORE_INDEX)


def refuse_twice(what: str, items: Sequence[object]) -> None:
    """Refuse a list in which something stands twice.

    Raises:
        ValueError: names the first such item.
    """
    twice = [item for item in items if items.count(item) > 1]
    if twice:
        raise ValueError(f"the {what} '{twice[0]}' is listed twice, so it is ambiguous")
