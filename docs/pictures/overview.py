#!/usr/bin/env python3
"""Draws docs/pictures/overview.svg: the driver, its workers, and what they share.

    python3 docs/pictures/overview.py > docs/pictures/overview.svg
"""

WIDTH, HEIGHT = 760, 372
STYLE = """text{font:13px system-ui,sans-serif;fill:#222}.name{font-weight:600}.small{font-size:11px;fill:#555}
.process{fill:#fff;stroke:#3574c4;stroke-width:1.5}.shared{fill:#f2f6fc;stroke:#3574c4;stroke-dasharray:4 3}
.page{fill:#cfe3ff;stroke:#3574c4}.page.b{fill:#ffe2c4;stroke:#c77b2c}.page.c{fill:#d5f0d5;stroke:#3c9a3c}
.line{fill:none;stroke:#3574c4;stroke-width:1.5;marker-end:url(#tip)}
.ground{fill:#fff}
@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#aaa}.ground,.process{fill:#161616}.shared{fill:#1b2330}
.page{fill:#1d3a63}.page.b{fill:#5b3a17}.page.c{fill:#1f4a1f}}"""


def box(x, y, width, height, kind, name="", below="", radius=5):
    text = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" class="{kind}"/>'
    middle = x + width / 2
    if name:
        text += f'<text x="{middle}" y="{y + 20}" text-anchor="middle" class="name">{name}</text>'
    if below:
        text += f'<text x="{middle}" y="{y + 37}" text-anchor="middle" class="small">{below}</text>'
    return text


def line(kind, *points):
    return f'<polyline class="{kind}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'


parts = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">',
    "<title>The driver and its workers map the same pages</title>",
    f"<style>{STYLE}</style>",
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0,0 L8,4 L0,8 z" fill="#3574c4"/></marker></defs>',
    f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
    box(20, 20, 160, 56, "process", "driver", "your program"),
]
for rank, kind in enumerate("abc"):
    x = 220 + rank * 180
    parts.append(box(x, 20, 160, 56, "process", f"worker {rank}", f"core {rank}, pinned"))

# What is shared, from left to right.
parts.append(box(20, 150, 720, 202, "shared"))
parts.append('<text x="118" y="174" class="name">shared memory</text>')
rows = [
    ("orders, board", "what to run, who takes part, claims, ends"),
    ("arena", "locks, counters, queues, small arrays"),
]
for at, (name, below) in enumerate(rows):
    parts.append(box(34, 186 + at * 78, 240, 62, "process", name, below))
parts.append('<text x="300" y="203" class="name">an array</text>')
parts.append('<text x="300" y="340" class="small">one copy; each chunk is written by one worker, and read in place by all</text>')
for at in range(12):
    kind = "abc"[min(at // 4, 2)]
    parts.append(box(300 + at * 35, 214, 32, 100, f"page {kind}", radius=2))

# Who reaches what.
parts.append(line("line", (100, 76), (100, 186)))
for rank in range(3):
    x = 300 + rank * 180
    parts.append(line("line", (x, 76), (x, 112), (370 + rank * 140, 132), (370 + rank * 140, 212)))
parts.append('<text x="112" y="120" class="small">one bell rings</text>')
parts.append('<text x="112" y="134" class="small">all workers</text>')
parts.append("</svg>")
print("\n".join(parts))
