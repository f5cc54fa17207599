"""Synthesises the processing element and turns the netlist into what a gate-level simulation with energies needs:
a Verilog netlist with plain names, an SDF file of cell delays, and the energy of every net's rise and fall by part.

Delays and slews follow the library's tables (nonlinear delay model, worst slew of a cell's inputs). The clock network
is ideal, as before clock tree synthesis: its cells have no delay, its energy is counted.
"""
import json
import math
import os
import subprocess

PARTS = ("multiplier", "accumulator", "weight_register", "activation_register", "control", "wires", "weight_link",
         "activation_link", "psum_link", "clock")
INPUT_SLEW_NS = 0.1
CLOCK_SLEW_NS = 0.1
RESULT_PIN_PF = 0.0125        # output stationary: the sum's register also drives one gate of the column's drain
PLACEMENT_DENSITY = 0.8       # of the element's square: cell area / area
SHORTEST_DELAY_NS = 0.001

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RTL = os.path.join(ROOT, "hdloss", "rtl")

SYNTHESIS = """\
read_verilog {rtl}/accumulator.v {rtl}/clock_gate.v {rtl}/gated_register.v {rtl}/multiplier.v {rtl}/pe.v
hierarchy -check -top pe -chparam DATAFLOW {dataflow} -chparam SIGN_MAGNITUDE {sm} -chparam ACCUMULATOR_BITS {bits} \
    -chparam SIGN_EXTENDED {extended}
proc
opt_clean
wreduce
peepopt
opt_clean
alumacc
share
opt
techmap
opt -full
dfflibmap -liberty {liberty}
techmap -map {rtl}/tools/latch_map.v
opt
abc -liberty {liberty} -constr {constraints} -D 8000
clean
flatten
clean -purge
rename -top pe_gates
read_liberty -lib -ignore_miss_func {liberty}
hierarchy -top pe_gates
write_json {out}
"""


class Gate:
    def __init__(self, name, cell, part, pins):
        self.name, self.cell, self.part, self.pins = name, cell, part, pins  # pins: pin name -> net
        self.clock_network = part == "clock"


class Net:
    def __init__(self, name):
        self.name = name       # as written in the netlist: n12, or a port's bit such as weight_in[3]
        self.driver = None     # (gate, pin name)
        self.sinks = []        # (gate, pin name)
        self.slew = (INPUT_SLEW_NS, INPUT_SLEW_NS)  # rise, fall
        self.wire_pf = 0.0
        self.external = []     # (part, pF): loads outside the element
        self.clock = False
        self.neighbour = None            # the next element's input that this output drives
        self.charged_to_driver = False   # an input whose energy is counted at the neighbour's output


class Netlist:
    """One processing element, mapped. wire_model(fanout) -> pF."""

    def __init__(self, library, liberty_path, metal_pf_per_um, dataflow, sign_magnitude, accumulator_bits, wire_model,
                 directory, name, sign_extended=False):
        self.library, self.dataflow, self.sign_magnitude = library, dataflow, sign_magnitude
        self.accumulator_bits, self.name, self.directory = accumulator_bits, name, directory
        self.sign_extended = sign_extended
        self._synthesise(liberty_path)
        self.area_um2 = sum(g.cell.area for g in self.gates)
        self.pitch_um = math.sqrt(self.area_um2 / PLACEMENT_DENSITY)
        self.link_pf = self.pitch_um * metal_pf_per_um
        for net in self.nets.values():
            net.wire_pf = wire_model(len(net.sinks))
        self._external_loads()
        self._timing()

    # ------------------------------------------------------------------------------------------ reading

    def _synthesise(self, liberty_path):
        base = os.path.join(self.directory, self.name)
        with open(base + ".constraints", "w") as f:
            f.write("set_driving_cell BUFX2\nset_load 0.02\n")
        with open(base + ".ys", "w") as f:
            f.write(SYNTHESIS.format(rtl=RTL, dataflow=self.dataflow, sm=int(self.sign_magnitude),
                                     extended=int(self.sign_extended),
                                     bits=self.accumulator_bits, liberty=liberty_path,
                                     constraints=base + ".constraints", out=base + ".json"))
        run = subprocess.run(["yosys", "-q", "-l", base + ".synthesis.log", "-s", base + ".ys"],
                             capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"yosys: {run.stderr.strip() or run.stdout.strip()}")
        with open(base + ".json") as f:
            module = json.load(f)["modules"]["pe_gates"]
        self._read_module(module)

    def _read_module(self, module):
        self.ports = {n: (p["direction"], len(p["bits"])) for n, p in module["ports"].items()}
        names = {}
        for port, p in module["ports"].items():
            for i, bit in enumerate(p["bits"]):
                names.setdefault(bit, port if len(p["bits"]) == 1 else f"{port}[{i}]")
        self.port_nets, self.nets, self.gates = {}, {}, []

        def net_of(bit):
            if isinstance(bit, str):
                return None  # a constant
            name = names.setdefault(bit, f"n{len(names)}")
            if name not in self.nets:
                self.nets[name] = Net(name)
            return self.nets[name]

        self.tied = []  # output port bits that are constants or other ports' bits
        for port, p in module["ports"].items():
            self.port_nets[port] = [net_of(bit) for bit in p["bits"]]
            for i, bit in enumerate(p["bits"]):
                own = port if len(p["bits"]) == 1 else f"{port}[{i}]"
                if p["direction"] == "output" and (isinstance(bit, str) or names[bit] != own):
                    self.tied.append((own, f"1'b{bit}" if isinstance(bit, str) else names[bit]))
        for index, (name, c) in enumerate(sorted(module["cells"].items())):
            if c["type"] not in self.library.cells:
                raise RuntimeError(f"synthesis left a cell {c['type']} ({name}) that the library does not have")
            pins = {}
            gate = Gate(f"u{index}", self.library.cells[c["type"]], part_of(name), pins)
            for pin, bits in c["connections"].items():
                net = net_of(bits[0])
                pins[pin] = net if net else f"1'b{bits[0] if bits[0] in '01' else '0'}"
                if net is None:
                    continue
                if gate.cell.pins[pin].direction == "output":
                    net.driver = (gate, pin)
                else:
                    net.sinks.append((gate, pin))
            self.gates.append(gate)

    def flip_flops(self):
        return sum(g.cell.flip_flop for g in self.gates)

    # -------------------------------------------------------------------------------------------- loads

    def _external_loads(self):
        """Loads outside the element. A forwarded signal drives the neighbour's input, which is an element like this one,
        over a link: all of it is charged to the driver. A held operand's bus runs past every element of the column, so
        its segment is charged where it passes, at the input."""
        forwarded = [("valid", 1, "control"), ("first", 1, "control"), ("active", 1, "control")]
        for operand, streams in (("weight", self.dataflow != 2), ("activation", self.dataflow != 0)):
            if streams:
                forwarded.append((operand, 8, operand + "_link"))
            else:
                for net in self.port_nets[operand + "_in"]:
                    net.external = [(operand + "_link", self.link_pf)]
        if self.dataflow == 1:
            for net in self.port_nets["psum_out"]:
                net.external = [("accumulator", RESULT_PIN_PF)]
        else:
            forwarded.append(("psum", self.accumulator_bits, "psum_link"))
        for name, width, part in forwarded:
            for i in range(width):
                out, neighbour = self.port_nets[name + "_out"][i], self.port_nets[name + "_in"][i]
                out.external, out.neighbour = [(part, self.link_pf)], neighbour
                neighbour.charged_to_driver = True

    def pin_load(self, net):
        return sum(g.cell.pins[p].capacitance for g, p in net.sinks)

    def load(self, net):
        own = self.pin_load(net) + net.wire_pf + sum(pf for _, pf in net.external)
        return own + (self.pin_load(net.neighbour) + net.neighbour.wire_pf if net.neighbour else 0.0)

    # ------------------------------------------------------------------------------------------- timing

    def _timing(self):
        """Slews of all nets, delays of all arcs, the longest path from a register to a register."""
        arrival, self.delays = {}, {}  # delays: (gate name, input, output) -> (rise, fall)
        for net in self.nets.values():
            if net.driver is None:
                arrival[net.name] = 0.0
        for bits in (self.port_nets["clk"],):
            bits[0].slew, bits[0].clock = (CLOCK_SLEW_NS,) * 2, True
        waiting = {g.name: sum(1 for p, n in g.pins.items() if isinstance(n, Net) and n.driver is not None
                               and g.cell.pins[p].direction == "input") for g in self.gates}
        ready = []
        for g in self.gates:
            if g.cell.flip_flop:
                waiting[g.name] = -1
                ready.append(g)
            elif waiting[g.name] == 0:
                ready.append(g)
        while ready:
            gate = ready.pop()
            for pin in gate.cell.outputs():
                net = gate.pins.get(pin.name)
                if not isinstance(net, Net):
                    continue
                self._drive(gate, pin, net, arrival)
                for sink, _ in net.sinks:
                    if waiting[sink.name] > 0:
                        waiting[sink.name] -= 1
                        if waiting[sink.name] == 0:
                            ready.append(sink)
        if any(n > 0 for n in waiting.values()):
            raise RuntimeError("the netlist has a combinational loop")
        ends = [arrival[n.name] for g in self.gates if g.cell.flip_flop for p, n in g.pins.items()
                if p == "D" and isinstance(n, Net)]
        self.longest_path_ns = max(ends)

    def _drive(self, gate, pin, net, arrival):
        load, rise_slew, fall_slew, latest = self.load(net), 0.0, 0.0, 0.0
        net.clock = gate.clock_network and not gate.cell.latch
        for related, sense, tables in pin.timing:
            source = gate.pins.get(related)
            if not isinstance(source, Net):
                continue
            up, down = source.slew
            if gate.clock_network and source.clock:
                up = down = CLOCK_SLEW_NS
            before = {"positive_unate": (up, down), "negative_unate": (down, up)}.get(sense, (max(up, down),) * 2)
            rise = max(tables["cell_rise"].at(load, before[0]), SHORTEST_DELAY_NS)
            fall = max(tables["cell_fall"].at(load, before[1]), SHORTEST_DELAY_NS)
            rise_slew = max(rise_slew, tables["rise_transition"].at(load, before[0]))
            fall_slew = max(fall_slew, tables["fall_transition"].at(load, before[1]))
            if gate.clock_network and not gate.cell.latch:
                rise = fall = 0.0
            self.delays[gate.name, related, pin.name] = (rise, fall)
            start = 0.0 if gate.cell.flip_flop else arrival.get(source.name, 0.0)
            latest = max(latest, start + max(rise, fall))
        net.slew = (CLOCK_SLEW_NS,) * 2 if net.clock else (rise_slew, fall_slew)
        arrival[net.name] = latest

    def use_wires(self, wire_pf):
        """Replaces estimated wire capacitances by measured ones, {net: pF}."""
        for name, net in self.nets.items():
            net.wire_pf = wire_pf.get(name, net.wire_pf)
        self._timing()

    # ------------------------------------------------------------------------------------------- energy

    def energies(self):
        """{net name: (rise, fall)}, each a list of pJ by part, for one transition of the net."""
        out = {}
        for net in self.nets.values():
            edges = ([0.0] * len(PARTS), [0.0] * len(PARTS))
            if not net.charged_to_driver:
                self._charge(net, edges)
                self.driver_energy(net, edges)
                if net.neighbour is not None:
                    self._charge(net.neighbour, edges)
            out[net.name] = edges
        return out

    def _charge(self, net, edges):
        """C V^2 / 2 of wire, external loads and pins, each to the part that owns it, and what the sinks burn inside
        when only their input moves."""
        half_v2 = 0.5 * self.library.voltage ** 2
        for values, name, slew in zip(edges, ("rise_power", "fall_power"), net.slew):
            for part, pf in net.external:
                values[PARTS.index(part)] += half_v2 * pf
            values[PARTS.index("clock" if net.clock else "wires")] += half_v2 * net.wire_pf
            for gate, pin_name in net.sinks:
                pin = gate.cell.pins[pin_name]
                part = PARTS.index("clock" if pin.clock or net.clock else gate.part)
                values[part] += half_v2 * pin.capacitance
                for related, tables in pin.power:
                    if related is None and name in tables:
                        values[part] += max(0.0, tables[name].at(slew))

    def driver_energy(self, net, edges):
        """Internal energy of the driving cell, averaged over its inputs."""
        if net.driver is None:
            return
        gate, pin = net.driver
        for values, name in zip(edges, ("rise_power", "fall_power")):
            found = []
            for related, tables in gate.cell.pins[pin].power:
                source = gate.pins.get(related)
                if name in tables and isinstance(source, Net):
                    found.append(tables[name].at(self.load(net), 0.5 * sum(source.slew)))
            if found:
                values[PARTS.index(gate.part)] += max(0.0, sum(found) / len(found))

    def leakage_pj_per_cycle(self, period_ns):
        return sum(g.cell.leakage_nw for g in self.gates) * period_ns * 1e-6

    # ------------------------------------------------------------------------------------------ writing

    def write_verilog(self, path):
        ports = ", ".join(self.ports)
        lines = [f"module pe_gates ({ports});"]
        for name, (direction, width) in self.ports.items():
            lines.append(f"  {direction} {'' if width == 1 else f'[{width - 1}:0] '}{name};")
        for net in self.nets.values():
            if net.name.startswith("n") and net.name[1:].isdigit():
                lines.append(f"  wire {net.name};")
        for left, right in self.tied:
            lines.append(f"  assign {left} = {right};")
        for gate in self.gates:
            pins = ", ".join(f".{p}({n.name if isinstance(n, Net) else n})" for p, n in gate.pins.items())
            lines.append(f"  {gate.cell.name} {gate.name} ({pins});")
        lines.append("endmodule")
        with open(path, "w") as f:
            f.write("\n".join(lines) + "\n")

    def write_sdf(self, path):
        arcs = {}
        for (gate, related, output), delay in self.delays.items():
            arcs.setdefault(gate, []).append((related, output, delay))
        with open(path, "w") as f:
            f.write('(DELAYFILE (SDFVERSION "3.0") (DESIGN "pe_gates") (DIVIDER .) (TIMESCALE 1ns)\n')
            for gate in self.gates:
                f.write(f'(CELL (CELLTYPE "{gate.cell.name}") (INSTANCE {gate.name}) (DELAY (ABSOLUTE\n')
                if not arcs.get(gate.name):
                    raise RuntimeError(f"{gate.cell.name} {gate.name} has no timing arc: a constant was not propagated")
                for related, output, delay in arcs[gate.name]:
                    rise, fall = (f"({d:.4f}:{d:.4f}:{d:.4f})" for d in delay)
                    f.write(f"  (IOPATH {related} {output} {rise} {fall})\n")
                f.write(")))\n")
            f.write(")\n")

    def write_energies(self, path):
        """One line a net: name, index in its vector (0 for scalars), pJ by part for a rise, then for a fall."""
        with open(path, "w") as f:
            f.write(f"parts {len(PARTS)} {' '.join(PARTS)}\n")
            for name, (rise, fall) in self.energies().items():
                base, _, index = name.rstrip("]").partition("[")
                f.write(f"{base} {index or 0} " + " ".join(f"{x:.7f}" for x in rise + fall) + "\n")


def part_of(cell_name):
    """The part of a flattened cell by its instance path."""
    path = cell_name.replace("$flatten", "").replace("\\", "")
    if ".gate." in path:
        return "clock"
    for prefix, part in (("multiply.", "multiplier"), ("accumulate.", "accumulator"),
                         ("weight_register.", "weight_register"), ("activation_register.", "activation_register")):
        if path.startswith(prefix):
            return part
    return "control"
