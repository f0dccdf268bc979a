"""Paint a scene: every shape with its texture, shade and haze, from far to near."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from segbench.demo.scene import Scene
from segbench.demo.shapes import Point, Shape

Canvas = npt.NDArray[np.float32]
OVERSAMPLING = 2


def render(scene: Scene, size: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Paint a scene.

    Args:
        scene: what to paint.
        size: height and width of the image in pixels.
        rng: decides texture and sensor noise.

    Returns:
        The image, uint8 [height, width, 3], in OpenCV's order blue, green, red.
    """
    height, width = (side * OVERSAMPLING for side in size)
    canvas = np.zeros((height, width, 3), np.float32)
    texture = _texture((height, width), rng)
    for shape in scene.shapes:
        _paint(canvas, shape, scene, np.roll(texture, int(rng.integers(width)), axis=1))
    canvas *= scene.brightness * _vignette((height, width))
    small = cv2.resize(canvas, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    noisy = small + rng.normal(0, 2.5, small.shape)
    return np.ascontiguousarray(np.clip(noisy, 0, 255).astype(np.uint8)[:, :, ::-1])


def _paint(canvas: Canvas, shape: Shape, scene: Scene, texture: npt.NDArray[np.float32]) -> None:
    corners = _to_pixels(shape.polygon)
    x, y, w, h = cv2.boundingRect(corners)
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + w, canvas.shape[1]), min(y + h, canvas.shape[0])
    if left >= right or top >= bottom:
        return
    mask = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(mask, [corners - (left, top)], 1)
    surface = np.empty((*mask.shape, 3), np.float32)
    surface[:] = shape.color
    for detail in shape.details:
        cv2.fillPoly(surface, [_to_pixels(detail.polygon) - (left, top)], detail.color)
    window = texture[top:bottom, left:right, None]
    surface *= 1.0 + shape.grain * window
    surface *= _shading(shape, y, h, top, bottom)
    clear = float(np.exp(-shape.depth / scene.visibility))
    surface = clear * surface + (1 - clear) * np.asarray(scene.haze, np.float32)
    region = canvas[top:bottom, left:right]
    region[mask > 0] = surface[mask > 0]


def _shading(shape: Shape, y: int, h: int, top: int, bottom: int) -> npt.NDArray[np.float32]:
    """A factor per row: darker towards the bottom, or towards the top if negative."""
    place = (np.arange(top, bottom, dtype=np.float32) - y) / max(h, 1)
    factor = 1 - shape.shade * place if shape.shade >= 0 else 1 + shape.shade * (1 - place)
    return factor[:, None, None].astype(np.float32)


def _texture(size: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Noise of several scales, about -1 to 1, [height, width]."""
    height, width = size
    total = np.zeros(size, np.float32)
    for cells, weight in ((6, 0.35), (24, 0.3), (96, 0.35)):
        grid = rng.normal(0, 1, (cells, cells * 2)).astype(np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return total + 0.35 * rng.normal(0, 1, size).astype(np.float32)


def _vignette(size: tuple[int, int]) -> npt.NDArray[np.float32]:
    rows = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, size[1], dtype=np.float32)[None, :]
    return (1 - 0.1 * (rows**2 + columns**2))[..., None]


def _to_pixels(polygon: Sequence[Point]) -> npt.NDArray[np.int32]:
    limit = 30_000  # OpenCV draws with 16 bits; what lies beyond is out of sight anyway
    points = np.clip(np.asarray(polygon, np.float64) * OVERSAMPLING, -limit, limit)
    return points.astype(np.int32)
