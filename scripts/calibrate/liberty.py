"""Reads a Liberty file and a LEF file: pin capacitances, delay, slew and energy tables, wire capacitance.

Units are those of the OSU cells: ns, pF, V, so energies are pJ (1 V^2 x 1 pF).
"""
import bisect
import re


class Table:
    """A lookup table over one or two axes, linear between points and, for delays, beyond them."""

    def __init__(self, axes, values):
        self.axes, self.values = axes, values

    @staticmethod
    def _locate(axis, x):
        i = min(max(bisect.bisect_right(axis, x) - 1, 0), len(axis) - 2)
        return i, (x - axis[i]) / (axis[i + 1] - axis[i])

    def at(self, *point):
        """point: (load pF, slew ns) or (slew ns,)."""
        i, f = self._locate(self.axes[0], point[0])
        if len(self.axes) == 1:
            return self.values[i] * (1 - f) + self.values[i + 1] * f
        j, g = self._locate(self.axes[1], point[1])
        width = len(self.axes[1])

        def row(k):
            return self.values[k * width + j] * (1 - g) + self.values[k * width + j + 1] * g
        return row(i) * (1 - f) + row(i + 1) * f


class Pin:
    def __init__(self, name, direction, capacitance):
        self.name, self.direction, self.capacitance = name, direction, capacitance
        self.clock = False
        self.timing = []   # (related pin, sense, {"cell_rise": Table, ...})
        self.power = []    # (related pin or None, {"rise_power": Table, ...})


class Cell:
    def __init__(self, name, area, leakage_nw):
        self.name, self.area, self.leakage_nw = name, area, leakage_nw
        self.pins = {}
        self.flip_flop = self.latch = False

    def outputs(self):
        return [p for p in self.pins.values() if p.direction == "output"]


class Library:
    def __init__(self, path):
        with open(path) as f:
            text = f.read()
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S).replace("\\\n", " ")
        self._tokens = re.findall(r'"[^"]*"|[{}();:,]|[^\s{}();:,"]+', text)
        self._at = 0
        top = self._group()[0]
        del self._tokens
        attributes = {s[1]: s[2] for s in top[3] if s[0] == "attribute"}
        self.name = top[2][0]
        self.voltage = float(attributes["nom_voltage"])
        self.temperature = float(attributes["nom_temperature"])
        self.cells = {s[2][0]: _cell(s) for s in top[3] if s[0] == "group" and s[1] == "cell"}

    def _group(self):
        """Statements up to a closing brace: ("attribute", name, value), ("group", name, arguments, statements) or
        ("call", name, arguments)."""
        statements, tokens = [], self._tokens
        while self._at < len(tokens) and tokens[self._at] != "}":
            name = tokens[self._at]
            self._at += 1
            if name == ";":
                continue
            if tokens[self._at] == ":":
                end = tokens.index(";", self._at)
                statements.append(("attribute", name, " ".join(tokens[self._at + 1:end]).strip('"')))
                self._at = end + 1
            elif tokens[self._at] == "(":
                end = tokens.index(")", self._at)
                arguments = [t.strip('"') for t in tokens[self._at + 1:end] if t != ","]
                self._at = end + 1
                if self._at < len(tokens) and tokens[self._at] == "{":
                    self._at += 1
                    inner = self._group()
                    self._at += 1
                    statements.append(("group", name, arguments, inner))
                else:
                    statements.append(("call", name, arguments))
        return statements


def _attribute(statements, name, default=None):
    for s in statements:
        if s[0] == "attribute" and s[1] == name:
            return s[2]
    return default


def _numbers(strings):
    return [float(x) for s in strings for x in s.replace(",", " ").split()]


def _tables(statements):
    out = {}
    for s in statements:
        if s[0] == "group":
            calls = {c[1]: _numbers(c[2]) for c in s[3] if c[0] == "call"}
            if "values" in calls and "index_1" in calls:
                out[s[1]] = Table([calls[k] for k in ("index_1", "index_2") if k in calls], calls["values"])
    return out


def _cell(group):
    body = group[3]
    cell = Cell(group[2][0], float(_attribute(body, "area", "0")), float(_attribute(body, "cell_leakage_power", "0")))
    cell.flip_flop = any(s[0] == "group" and s[1] == "ff" for s in body)
    cell.latch = any(s[0] == "group" and s[1] == "latch" for s in body)
    for s in body:
        if s[0] != "group" or s[1] != "pin":
            continue
        pin = Pin(s[2][0], _attribute(s[3], "direction"), float(_attribute(s[3], "capacitance", "0")))
        pin.clock = _attribute(s[3], "clock") == "true"
        for g in s[3]:
            if g[0] == "group" and g[1] == "timing" and not \
                    _attribute(g[3], "timing_type", "").startswith(("setup", "hold", "recovery", "removal")):
                pin.timing.append((_attribute(g[3], "related_pin"), _attribute(g[3], "timing_sense", "non_unate"),
                                   _tables(g[3])))
            if g[0] == "group" and g[1] == "internal_power":
                pin.power.append((_attribute(g[3], "related_pin"), _tables(g[3])))
        cell.pins[pin.name] = pin
    return cell


def metal_capacitance(lef_path):
    """pF for each micrometre of minimum-width wire, by routing layer, from LEF (area and both edges)."""
    with open(lef_path) as f:
        text = f.read()
    out = {}
    for match in re.finditer(r"^LAYER\s+(metal\d)\s(.*?)^END\s+\1", text, re.S | re.M):
        body = match.group(2)
        width, area, edge = (re.search(k + r"\s+([\d.eE+-]+)", body) for k in
                             (r"\bWIDTH", "CPERSQDIST", "EDGECAPACITANCE"))
        if width and area and edge:
            out[match.group(1)] = float(width.group(1)) * float(area.group(1)) + 2 * float(edge.group(1))
    return out
