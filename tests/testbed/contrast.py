"""Which texts of a page are too faint to read: contrast as WCAG 2 defines it."""

from __future__ import annotations

from typing import Any

_SCRIPT = """
selector => {
  const parse = text => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) =>
    [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
  const light = rgb => {
    const [r, g, b] = rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    const chain = [];
    for (let each = element; each; each = each.parentElement) {
      chain.unshift(parse(getComputedStyle(each).backgroundColor));
    }
    return chain.reduce((below, colour) => over(colour, below), [255, 255, 255]);
  };
  const found = [];
  for (const element of document.querySelectorAll(`${selector} *`)) {
    const own = [...element.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!own || !element.checkVisibility() || element.closest("script, style, .visually-hidden")) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const colour = over(parse(style.color), below);
    const [dark, bright] = [light(colour), light(below)].sort((x, y) => x - y);
    const ratio = (bright + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)}: ${element.textContent.trim()}`);
  }
  return found;
}
"""


def faint_texts(page: Any, selector: str) -> list[str]:
    """List texts below an element with less contrast than 4.5 (3 where they are large)."""
    found: list[str] = page.evaluate(_SCRIPT, selector)
    return found
