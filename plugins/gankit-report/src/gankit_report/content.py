"""What a page is made of: sections of blocks, which its template writes."""

from __future__ import annotations

from attrs import frozen

from gankit_report.charts import Chart
from gankit_report.pictures import Cell


@frozen
class Row:
    """Pictures beside each other, and what they have in common."""

    label: str
    cells: tuple[Cell, ...]


@frozen
class Rows:
    """Rows of equally many pictures, with heads where columns mean something."""

    rows: tuple[Row, ...]
    heads: tuple[str, ...] = ()
    kind = "rows"

    @property
    def columns(self) -> int:
        """Pictures in a row."""
        return len(self.rows[0].cells)


@frozen
class Tiles:
    """Pictures that flow, each with its caption."""

    cells: tuple[Cell, ...]
    kind = "tiles"


@frozen
class Wide:
    """Pictures that need room."""

    cells: tuple[Cell, ...]
    kind = "wide"


@frozen
class Titled:
    """A chart with its title, its meaning and its legend."""

    title: str
    text: str
    chart: Chart
    legend: tuple[tuple[str, str, str], ...] = ()  # colour, name, last value


@frozen
class Charts:
    """Charts beside each other."""

    charts: tuple[Titled, ...]
    kind = "charts"


Block = Rows | Tiles | Wide | Charts


@frozen
class Section:
    """A part of the page: a heading, lines that say what is seen, and what is."""

    anchor: str
    title: str
    lines: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
