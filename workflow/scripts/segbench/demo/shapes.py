"""What a drawn scene is made of: a camera, and labelled shapes with the way to paint them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Point = tuple[float, float]
Color = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Detail:
    """A patch of another colour inside a shape, such as a window or a lane mark."""

    polygon: Sequence[Point]
    color: Color


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotated object.

    Attributes:
        label: a label of IDD, for instance `road`.
        polygon: outline in pixels, x and y.
        color: red, green and blue, 0 to 255.
        depth: distance in metres, which decides the haze.
        grain: strength of the surface's texture, 0 to 1.
        shade: how much darker the shape is at its bottom (negative: at its top), 0 to 1.
        details: patches painted over it.
    """

    label: str
    polygon: Sequence[Point]
    color: Color
    depth: float
    grain: float = 0.06
    shade: float = 0.0
    details: Sequence[Detail] = field(default=())


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera above a flat ground.

    Attributes:
        width, height: of the image in pixels.
        horizon: y of the horizon in pixels.
        vanishing: x in pixels where a straight road ends.
        bend: how far the road swings sideways, in metres per squared 100 metres.
        elevation: height of the camera above the ground in metres.
    """

    width: int
    height: int
    horizon: float
    vanishing: float
    bend: float = 0.0
    elevation: float = 1.5

    @property
    def focal(self) -> float:
        """Focal length in pixels: a wide dashboard camera."""
        return 0.75 * self.width

    def project(self, x: float, y: float, z: float) -> Point:
        """Pixel of a point `x` metres right, `y` metres up and `z` metres ahead."""
        z = max(z, 0.6)
        side = x + self.bend * (z / 100.0) ** 2
        return (
            self.vanishing + self.focal * side / z,
            self.horizon + self.focal * (self.elevation - y) / z,
        )

    def strip(
        self, left: float, right: float, near: float = 1.0, far: float = 120.0, up: float = 0.0
    ) -> list[Point]:
        """Outline of a strip of ground between two distances from the middle of the road."""
        # even steps in 1/z are even steps in the picture
        depths = 1.0 / np.linspace(1.0 / near, 1.0 / far, 14)
        there = [self.project(left, up, z) for z in depths]
        back = [self.project(right, up, z) for z in depths[::-1]]
        return there + back

    def upright(
        self, x: float, z: float, outline: Sequence[Point], scale: float = 1.0
    ) -> list[Point]:
        """Place a flat outline (metres right of `x` and above the ground) at distance `z`."""
        return [self.project(x + scale * dx, scale * dy, z) for dx, dy in outline]


def box(left: float, bottom: float, right: float, top: float) -> list[Point]:
    """The corners of a rectangle."""
    return [(left, bottom), (left, top), (right, top), (right, bottom)]


def ellipse(x: float, y: float, rx: float, ry: float, points: int = 12) -> list[Point]:
    """The outline of an ellipse."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]


def blob(
    rng: np.random.Generator, x: float, y: float, rx: float, ry: float, points: int = 16
) -> list[Point]:
    """An uneven round outline: a bush or the crown of a tree."""
    radii = rng.uniform(0.75, 1.1, points)
    return [
        (x + float(r) * (px - x), y + float(r) * (py - y))
        for r, (px, py) in zip(radii, ellipse(x, y, rx, ry, points), strict=True)
    ]
