"""What was measured, as tables: medians with minimum and maximum, ratios, and whether the goals are met."""

import re

from plot import ratios

COLUMNS = {"floor": "floor", "base": "base", "dohle": "Dohle", "kafka": "Kafka 4"}
OTHERS = [name for name in COLUMNS if name != "dohle"]


def median(values):
    return sorted(values)[len(values) // 2]


class Goal:
    """A limit for Dohle: so many times what another column shows (and `plus` more), or, without a column, a number."""

    def __init__(self, limit, of=None, plus=0):
        self.limit, self.of, self.plus = limit, of, plus

    def text(self, sign, unit):
        if not self.of:
            return f"{sign} {self.limit:,g} {unit}".strip()
        shown = COLUMNS[self.of].removesuffix(" 4")
        if self.plus:
            return f"{sign} {shown} + {self.plus} {unit}"
        return f"{sign} {self.limit}x {shown}"

    def share(self, values, more_is_better):
        """How much of what is allowed is taken; the goal is met up to 1. None if something was not measured."""
        if not values.get("dohle") or (self.of and not values.get(self.of)):
            return None
        allowed = self.limit * median(values[self.of]) + self.plus if self.of else self.limit
        own = median(values["dohle"])
        taken, allowed = (allowed, own) if more_is_better else (own, allowed)
        if allowed == 0:
            return 0.0 if taken == 0 else 1.0 + taken
        return taken / allowed


class Row:
    """`values` are lists, by the names of COLUMNS; a goal that is only text is shown and not judged."""

    def __init__(self, measure, unit, values, goals, more_is_better):
        self.measure, self.unit, self.values = measure, unit, {name: list(values[name]) for name in COLUMNS if values.get(name)}
        self.more_is_better = more_is_better
        self.words = [goal for goal in goals if isinstance(goal, str)]
        self.goals = [goal for goal in goals if not isinstance(goal, str)]
        self.shares = [goal.share(self.values, more_is_better) for goal in self.goals]

    def ratio(self, name):
        other = median(self.values[name]) if name in self.values else 0
        return median(self.values["dohle"]) / other if other and "dohle" in self.values else None

    def goal_text(self):
        sign = "≥" if self.more_is_better else "≤"
        return "; ".join([goal.text(sign, self.unit) for goal in self.goals] + self.words)

    def verdict(self):
        if not self.goals:
            return ""
        if None in self.shares:
            return "not measured"
        return "met" if max(self.shares) <= 1 else "**not met**"

    def cell(self, name):
        taken = sorted(self.values.get(name, []))
        if not taken:
            return ""
        spread = f" [{number(taken[0])}-{number(taken[-1])}]" if len(taken) > 1 else ""
        return f"{number(median(taken))}{spread}"

    def raw(self):
        return {
            "measure": self.measure, "unit": self.unit, "more_is_better": self.more_is_better, "values": self.values,
            "goal": self.goal_text(), "met": self.verdict(), "shares": self.shares,
        }  # fmt: skip


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def factor(value):
    return "" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


class Table:
    def __init__(self, name, title, text):
        self.name, self.title, self.text = name, title, text
        self.rows = []

    def add(self, measure, unit, values, goals=(), more_is_better=False):
        row = Row(measure, unit, values, goals, more_is_better)
        print(f"{measure}: {({name: row.cell(name) for name in row.values})} {unit}; {row.goal_text()} {row.verdict()}", flush=True)
        self.rows.append(row)

    def in_order(self):
        """By the number of the measure, P2 before P10; what has none comes last."""
        return sorted(self.rows, key=lambda row: int((re.match(r"P(\d+)", row.measure) or [0, 99])[1]))

    def markdown(self):
        columns = [name for name in COLUMNS if any(name in row.values for row in self.rows)]
        others = [name for name in OTHERS if name in columns]
        head = ["measure", "unit", *(COLUMNS[name] for name in columns), *(f"Dohle / {COLUMNS[name]}" for name in others), "goal", "met"]
        lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        for row in self.in_order():
            measured = [row.cell(name) for name in columns]
            compared = [factor(row.ratio(name)) for name in others]
            more = " (more is better)" if row.more_is_better else ""
            cells = [row.measure + more, row.unit, *measured, *compared, row.goal_text(), row.verdict()]
            lines.append("| " + " | ".join(cells) + " |")
        picture = f"![{self.title}](benchmarks-{self.name}.svg)"
        return "\n".join([f"## {self.title}", "", self.text, "", picture, "", *lines, ""])

    def plot(self):
        """One bar for each row with goals: the goal that is met least."""
        bars = [(row.measure, max(row.shares)) for row in self.in_order() if row.goals and None not in row.shares]
        return ratios(f"{self.title}: share of what the goal allows", bars)
