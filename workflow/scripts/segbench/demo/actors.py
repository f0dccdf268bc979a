"""Vehicles, people, animals and street furniture of a drawn scene, each as labelled shapes.

Every function places one thing on the ground at `x` metres right of the road's middle and `z`
metres ahead. Outlines are in metres, seen from behind or from the side.
"""

from collections.abc import Callable

import numpy as np

from segbench.demo.shapes import Camera, Color, Detail, Shape, blob, box, ellipse

Rng = np.random.Generator
Actor = Callable[[Camera, Rng, float, float], list[Shape]]

DARK: Color = (28, 28, 32)
GLASS: Color = (70, 88, 104)
PAINTS: list[Color] = [
    (208, 208, 206), (176, 32, 34), (36, 58, 120), (60, 62, 66), (222, 222, 216), (142, 146, 150),
]  # fmt: skip
CLOTHES: list[Color] = [
    (190, 60, 60), (60, 90, 150), (220, 200, 160), (70, 120, 80), (200, 130, 40), (110, 60, 120),
]  # fmt: skip


def pick(rng: Rng, colors: list[Color]) -> Color:
    """One of the colours, slightly varied."""
    base = colors[int(rng.integers(len(colors)))]
    red, green, blue = (float(np.clip(c + rng.normal(0, 8), 0, 255)) for c in base)
    return red, green, blue


def car(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A car from behind: body, rear window, lights and wheels."""
    body = [(-0.9, 0.25), (-0.92, 0.85), (-0.7, 1.45), (0.7, 1.45), (0.92, 0.85), (0.9, 0.25),
            (0.72, 0.0), (0.5, 0.22), (-0.5, 0.22), (-0.72, 0.0)]  # fmt: skip
    details = [
        Detail(camera.upright(x, z, [(-0.72, 0.9), (-0.6, 1.35), (0.6, 1.35), (0.72, 0.9)]), GLASS),
        Detail(camera.upright(x, z, box(-0.9, 0.62, -0.66, 0.8)), (200, 30, 28)),
        Detail(camera.upright(x, z, box(0.66, 0.62, 0.9, 0.8)), (200, 30, 28)),
        Detail(camera.upright(x, z, box(-0.88, 0.0, -0.6, 0.28)), DARK),
        Detail(camera.upright(x, z, box(0.6, 0.0, 0.88, 0.28)), DARK),
    ]
    color = pick(rng, PAINTS)
    return [Shape("car", camera.upright(x, z, body), color, z, 0.02, 0.25, details)]


def autorickshaw(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """The three-wheeled taxi: green or black body under a yellow hood."""
    body = [(-0.6, 0.2), (-0.66, 0.9), (-0.55, 1.75), (0.55, 1.75), (0.66, 0.9), (0.6, 0.2),
            (0.15, 0.0), (-0.15, 0.0)]  # fmt: skip
    lower = pick(rng, [(34, 92, 52), (30, 30, 32)])
    details = [
        Detail(camera.upright(x, z, box(-0.64, 0.1, 0.64, 0.9)), lower),
        Detail(camera.upright(x, z, box(-0.42, 1.05, 0.42, 1.5)), GLASS),
        Detail(camera.upright(x, z, box(-0.1, 0.0, 0.1, 0.3)), DARK),
    ]
    return [
        Shape("autorickshaw", camera.upright(x, z, body), (226, 190, 48), z, 0.03, 0.2, details)
    ]


def truck(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A painted lorry from behind."""
    return [_van(camera, rng, x, z, "truck", 2.9, [(176, 92, 40), (60, 96, 140), (130, 110, 70)])]


def bus(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A city bus from behind."""
    return [_van(camera, rng, x, z, "bus", 3.1, [(190, 44, 40), (52, 120, 80), (222, 140, 40)])]


def tractor(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A tractor with a cart, which IDD calls a vehicle fallback."""
    return [_van(camera, rng, x, z, "vehicle fallback", 1.9, [(150, 40, 36), (70, 90, 130)])]


def _van(
    camera: Camera, rng: Rng, x: float, z: float, label: str, top: float, paints: list[Color]
) -> Shape:
    outline = [(-1.2, 0.3), (-1.2, top), (1.2, top), (1.2, 0.3), (0.95, 0.0), (0.55, 0.0),
               (0.5, 0.3), (-0.5, 0.3), (-0.55, 0.0), (-0.95, 0.0)]  # fmt: skip
    details = [
        Detail(camera.upright(x, z, box(-0.95, 0.6 * top, 0.95, 0.88 * top)), GLASS),
        Detail(camera.upright(x, z, box(-1.2, 0.42 * top, 1.2, 0.5 * top)), pick(rng, PAINTS)),
        Detail(camera.upright(x, z, box(-0.95, 0.0, -0.55, 0.45)), DARK),
        Detail(camera.upright(x, z, box(0.55, 0.0, 0.95, 0.45)), DARK),
    ]
    return Shape(label, camera.upright(x, z, outline), pick(rng, paints), z, 0.03, 0.2, details)


def motorcycle(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A motorcycle with its rider, two objects as in IDD."""
    machine = [(-0.12, 0.0), (-0.16, 0.5), (-0.34, 0.95), (0.34, 0.95), (0.16, 0.5), (0.12, 0.0)]
    return [
        Shape("motorcycle", camera.upright(x, z, machine), pick(rng, [DARK, (120, 30, 30)]), z),
        _figure(camera, rng, x, z, "rider", lift=0.55, legs=False),
    ]


def bicycle(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A bicycle with its rider."""
    wheels = [(-0.06, 0.0), (-0.08, 0.6), (-0.28, 0.9), (0.28, 0.9), (0.08, 0.6), (0.06, 0.0)]
    return [
        Shape("bicycle", camera.upright(x, z, wheels), (60, 60, 70), z),
        _figure(camera, rng, x, z, "rider", lift=0.5, legs=False),
    ]


def person(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """Somebody who stands or walks."""
    return [_figure(camera, rng, x, z, "person", lift=0.0, legs=True)]


def _figure(
    camera: Camera, rng: Rng, x: float, z: float, label: str, lift: float, legs: bool
) -> Shape:
    low = 0.0 if legs else 0.25
    outline = [(-0.12, low), (-0.24, 0.8), (-0.26, 1.3), (-0.12, 1.42), (-0.13, 1.6), (-0.07, 1.72),
               (0.07, 1.72), (0.13, 1.6), (0.12, 1.42), (0.26, 1.3), (0.24, 0.8),
               (0.12, low)]  # fmt: skip
    lifted = [(dx, dy * (0.85 if lift else 1.0) + lift * 0.6) for dx, dy in outline]
    top = lifted[5][1]
    skin = Detail(camera.upright(x, z, ellipse(0.0, top - 0.12, 0.11, 0.13)), (120, 84, 62))
    trousers = Detail(camera.upright(x, z, box(-0.2, 0.0, 0.2, 0.75)), pick(rng, CLOTHES))
    details = [skin, trousers] if legs else [skin]
    return Shape(label, camera.upright(x, z, lifted), pick(rng, CLOTHES), z, 0.05, 0.15, details)


def cow(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A cow or a water buffalo from the side."""
    outline = [(-0.9, 0.0), (-0.9, 0.6), (-1.0, 1.1), (-0.8, 1.35), (0.6, 1.35), (0.95, 1.6),
               (1.25, 1.4), (1.2, 1.15), (0.85, 1.0), (0.8, 0.0), (0.62, 0.0), (0.6, 0.6),
               (-0.65, 0.6), (-0.7, 0.0)]  # fmt: skip
    color = pick(rng, [(66, 58, 56), (120, 84, 56), (224, 220, 212)])
    return [Shape("animal", camera.upright(x, z, outline), color, z, 0.08, 0.3)]


def tree(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A tree; trunk and crown are both vegetation."""
    height = float(rng.uniform(3.0, 6.5))
    crown = camera.upright(x, z, blob(rng, 0.0, height * 0.68, height * 0.32, height * 0.36))
    trunk = camera.upright(x, z, box(-0.14, 0.0, 0.14, height * 0.5))
    green = pick(rng, [(58, 92, 40), (78, 112, 52), (48, 80, 46)])
    return [
        Shape("vegetation", trunk, (92, 72, 52), z, 0.15),
        Shape("vegetation", crown, green, z, 0.3, 0.45),
    ]


def bush(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A bush or a patch of high grass."""
    size = float(rng.uniform(0.6, 1.6))
    outline = camera.upright(x, z, blob(rng, 0.0, 0.4 * size, size, 0.6 * size))
    green = pick(rng, [(84, 116, 50), (112, 128, 62), (62, 98, 44)])
    return [Shape("vegetation", outline, green, z, 0.3, 0.4)]


def pole(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A lamp or power pole."""
    outline = [(-0.09, 0.0), (-0.06, 6.5), (-0.06, 6.5), (0.7, 6.6), (0.7, 6.45), (0.06, 6.35),
               (0.09, 0.0)]  # fmt: skip
    return [Shape("pole", camera.upright(x, z, outline), pick(rng, [(128, 126, 120)]), z)]


def traffic_sign(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A round sign on its pole."""
    face = camera.upright(x, z, ellipse(0.0, 2.5, 0.42, 0.42))
    inner = Detail(camera.upright(x, z, ellipse(0.0, 2.5, 0.3, 0.3)), (232, 230, 224))
    post = camera.upright(x, z, box(-0.05, 0.0, 0.05, 2.2))
    ring = pick(rng, [(190, 30, 34), (32, 70, 160)])
    return [
        Shape("pole", post, (140, 140, 138), z),
        Shape("traffic sign", face, ring, z, 0.02, 0.0, [inner]),
    ]


def traffic_light(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """A traffic light on its pole."""
    lit = int(rng.integers(3))
    lamps: list[Color] = [(60, 200, 90), (240, 190, 40), (230, 40, 36)]
    details = [
        Detail(
            camera.upright(x, z, ellipse(0.0, 2.75 + 0.32 * i, 0.12, 0.12)),
            lamps[i] if i == lit else (50, 50, 50),
        )
        for i in range(3)
    ]
    return [
        Shape("pole", camera.upright(x, z, box(-0.06, 0.0, 0.06, 2.5)), (110, 110, 112), z),
        Shape("traffic light", camera.upright(x, z, box(-0.2, 2.5, 0.2, 3.6)), DARK, z, 0.02, 0.0,
              details),
    ]  # fmt: skip


def billboard(camera: Camera, rng: Rng, x: float, z: float) -> list[Shape]:
    """An advertisement on two legs."""
    legs = [
        Shape("pole", camera.upright(x, z, box(dx - 0.1, 0.0, dx + 0.1, 3.4)), (120, 116, 110), z)
        for dx in (-1.4, 1.4)
    ]
    stripe = Detail(camera.upright(x, z, box(-1.7, 4.2, 1.7, 4.6)), pick(rng, CLOTHES))
    board = camera.upright(x, z, box(-2.1, 3.3, 2.1, 5.4))
    return [*legs, Shape("billboard", board, pick(rng, PAINTS), z, 0.03, 0.0, [stripe])]
