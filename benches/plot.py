"""Bars as SVG, without a library: a page of text is all that a plot of ratios needs."""

from xml.sax.saxutils import escape

BAR, GAP, LABELS, WIDTH = 16, 6, 560, 360
# Longer bars are cut off; their number says how long they are.
RATIO_MAX = 3.0
LETTERS_MAX = 90


def ratios(title, rows):
    """One bar for each (name, ratio); a line marks 1."""
    top = max([1.0, *(min(ratio, RATIO_MAX) for _, ratio in rows)])
    height = 40 + len(rows) * (BAR + GAP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABELS + WIDTH + 60}" height="{height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="18" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, ratio) in enumerate(rows):
        y = 32 + number * (BAR + GAP)
        length = min(ratio, RATIO_MAX) / top * WIDTH
        label = name if len(name) <= LETTERS_MAX else name[:LETTERS_MAX] + "..."
        out.append(f'<text x="{LABELS - 8}" y="{y + 12}" text-anchor="end">{escape(label)}</text>')
        out.append(f'<rect x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{"#2b7a78" if ratio <= 1 else "#c0562f"}"/>')
        out.append(f'<text x="{LABELS + length + 4:.1f}" y="{y + 12}">{ratio:.2f}</text>')
    one = LABELS + WIDTH / top
    out.append(f'<line x1="{one:.1f}" y1="28" x2="{one:.1f}" y2="{height - 6}" stroke="#444" stroke-dasharray="3 3"/>')
    return "\n".join([*out, "</svg>", ""])
