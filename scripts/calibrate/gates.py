"""Gate-level simulation of a mapped processing element or array: iverilog with SDF delays, the dump streamed through a
FIFO into vcd_energy, energies a cycle by part."""
import hashlib
import os
import subprocess
import tempfile

import numpy as np

import array_model as model
import netlist as nl
import rtl_run

TOOLS = os.path.join(nl.RTL, "tools")
COMPILER = ["gcc", "-O2", "-std=c11", "-D_GNU_SOURCE"]


def build_tools(directory):
    """Compiles vcd_energy; returns its path."""
    program = os.path.join(directory, "vcd_energy")
    subprocess.run(COMPILER + ["-o", program, os.path.join(TOOLS, "vcd_energy.c")], check=True)
    return program


class GateSimulator:
    """A mapped element with its SDF and energies on disk, ready to run streams. delays=False: all cells at once."""

    def __init__(self, netlist, cells_verilog, vcd_energy, directory, period_ns, delays=True):
        self.netlist, self.vcd_energy, self.directory, self.period_ns = netlist, vcd_energy, directory, period_ns
        self.base = os.path.join(directory, netlist.name)
        self.cells_verilog, self.delays, self._programs = cells_verilog, delays, {}
        self.count_transitions = None  # a file for the nets' transitions of the next run
        netlist.write_verilog(self.base + ".v")
        netlist.write_sdf(self.base + ".sdf")
        netlist.write_energies(self.base + ".energies")
        self.cache = os.path.join(directory, "cache")
        os.makedirs(self.cache, exist_ok=True)
        # Everything that decides a run's outcome but its own stimulus.
        self._setting = hashlib.sha256(repr((period_ns, delays)).encode())
        for path in [self.base + end for end in (".v", ".sdf", ".energies")] + [
                cells_verilog, os.path.join(TOOLS, "gate_bench.v"), os.path.join(TOOLS, "vcd_energy.c"),
                os.path.join(nl.RTL, "array.v")]:
            with open(path, "rb") as f:
                self._setting.update(f.read())

    def _cached_run(self, array, signed, stimulus, cycles):
        """_run, or what an earlier one of the same netlist, delays and stimulus found: a calibration that was stopped
        goes on where it was."""
        if self.count_transitions:
            return self._run(self._compile(array, signed), stimulus, cycles)
        key = self._setting.copy()
        key.update(repr((array and (array.rows, array.columns), bool(signed), cycles, stimulus)).encode())
        path = os.path.join(self.cache, key.hexdigest() + ".npz")
        if os.path.exists(path):
            with np.load(path) as kept:
                return kept["energies"], str(kept["lines"]).splitlines()
        energies, lines = self._run(self._compile(array, signed), stimulus, cycles)
        unfinished = f"{path[:-4]}.{os.getpid()}.tmp.npz"
        np.savez_compressed(unfinished, energies=energies, lines="\n".join(lines))
        os.replace(unfinished, path)
        return energies, lines

    def _compile(self, array, signed):
        key = (array and (array.rows, array.columns), signed)
        if key in self._programs:
            return self._programs[key]
        program = f"{self.base}.{len(self._programs)}.vvp"
        command = ["iverilog", "-g2005", "-s", "gate_bench", "-o", program,
                   f'-DSDF="{self.base}.sdf"', f"-Pgate_bench.DATAFLOW={self.netlist.dataflow}",
                   f"-Pgate_bench.ACCUMULATOR_BITS={self.netlist.accumulator_bits}",
                   f"-Pgate_bench.ACTIVATION_SIGNED={int(signed)}", f"-Pgate_bench.PERIOD={self.period_ns}"]
        if self.delays:
            command.append("-gspecify")
        if array:
            command += ["-DARRAY", "-DGATE_LEVEL", f"-Pgate_bench.ROWS={array.rows}",
                        f"-Pgate_bench.COLUMNS={array.columns}"]
        command += [os.path.join(TOOLS, "gate_bench.v"), self.base + ".v"]
        command += [os.path.join(nl.RTL, "array.v")] if array else []
        run = subprocess.run(command + [self.cells_verilog], capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError("iverilog: " + (run.stderr or run.stdout).strip())
        self._programs[key] = program
        return program

    def _run(self, program, stimulus, cycles):
        """(energies [cycles][parts + 2], lines printed)."""
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            stimulus_file, fifo, out = (os.path.join(scratch, n) for n in ("stimulus.hex", "fifo.vcd", "energies.bin"))
            with open(stimulus_file, "w") as f:
                f.write(stimulus)
            os.mkfifo(fifo)
            with open(fifo + ".log", "w") as log:
                reader = subprocess.Popen(f'exec "{self.vcd_energy}" "{self.base}.energies" '
                                          f'{int(self.period_ns * 1000)} "{out}" {self.count_transitions or ""} < "{fifo}"', shell=True, stderr=log)
                run = subprocess.run(["vvp", "-n", program, f"+stimulus={stimulus_file}", f"+cycles={cycles}",
                                      f"+dump={fifo}"], capture_output=True, text=True)
                if run.returncode:
                    reader.kill()
                reader.wait()
            with open(fifo + ".log") as log:
                complaint = log.read().strip()
            if run.returncode or reader.returncode or complaint:
                raise RuntimeError(f"gate simulation: {run.stderr.strip()} {complaint}")
            energies = np.fromfile(out).reshape(-1, len(nl.PARTS) + 2)
        lines = [line for line in run.stdout.splitlines() if not line.startswith("VCD")]
        if any("SDF ERROR" in line for line in lines):
            raise RuntimeError("gate simulation: " + next(line for line in lines if "SDF ERROR" in line))
        if len(energies) < cycles:
            raise RuntimeError(f"gate simulation: {len(energies)} cycles came out, {cycles} is right")
        return energies[:cycles], lines

    def run_element(self, ports, signed):
        """ports: valid, first, active, weight_in, activation_in, psum_in, each [cycles]. Checks the psum register
        against `ports["psum"]`, its value in local time, when given. Energies [cycles][parts + 2] in *local time*:
        row t holds what happens after the edge that writes step t's operands."""
        bits = self.netlist.accumulator_bits
        # The sum from above arrives a cycle after the operands' inputs, with the operands themselves.
        psum_in = np.concatenate([[0], ports["psum_in"][:-1]])
        word = (ports["valid"].astype(object) | (ports["first"].astype(object) << 1)
                | (ports["active"].astype(object) << 2) | (ports["weight_in"].astype(object) << 3)
                | (ports["activation_in"].astype(object) << 11) | (psum_in.astype(object) << 19))
        # Four cycles of zeros with all flags set bring every register to zero.
        flush, digits = 4, (19 + bits + 3) // 4
        after = [int(ports["psum_in"][-1]) << 19, 0]
        lines = [f"{int(w):0{digits}x}" for w in [7] * flush + list(word) + after]
        energies, printed = self._cached_run(None, signed, "\n".join(lines) + "\n", len(lines))
        if "psum" in ports:
            got = np.array([int(x, 16) for x in printed[flush + 2:flush + 2 + len(word)]])
            wrong = np.flatnonzero(got != ports["psum"])
            if len(wrong):
                raise RuntimeError(f"{self.netlist.name}: the gates' sum at step {wrong[0]} is {got[wrong[0]]:x}, "
                                   f"{int(ports['psum'][wrong[0]]):x} is right")
        return energies[flush + 1:flush + 1 + len(word)]

    def run_array(self, schedule, all_tiles, layer, array, cycles):
        """The first `cycles` cycles of a layer on a gate-level array. Returns energies [cycles][parts + 2] in real
        cycles, and checks every result that came out against the convolution's partial sums."""
        stimulus, total = rtl_run.pack(model.skewed_inputs(schedule), array)
        flush = rtl_run.flush_cycles(array)
        cycles = min(cycles, total - flush)
        lines = stimulus.splitlines()[:flush + cycles]
        energies, printed = self._cached_run(array, layer.activation_signed, "\n".join(lines) + "\n", len(lines))
        signals = model.simulate(schedule, layer, array)
        checked = 0
        for line in printed:
            word = line.split()
            if word[:1] != ["result"] or not word[3].isdigit():
                continue
            cycle, column, value = int(word[1]) - flush, int(word[2]), int(word[3])
            expected = self._expected_result(cycle, column, schedule, signals, array)
            if expected is None:
                continue
            checked += 1
            if value != expected:
                raise RuntimeError(f"{self.netlist.name}: the gate-level array's result in cycle {cycle} is wrong")
        return energies[flush:flush + cycles], checked

    @staticmethod
    def _expected_result(cycle, column, schedule, signals, array):
        """The sum that a column puts out in a cycle, by the cycle model; None outside the layer."""
        if not schedule.local:  # the bottom row's sum of local step t is out at t + rows + column + 1
            t = cycle - column - array.rows - 1
            return signals["psum"][t, array.rows - 1, column] if 0 <= t < len(schedule.first) else None
        local = cycle - column - 1  # row r puts out its last sum r cycles after the first flag of the next tile
        starts = np.array(schedule.starts + [len(schedule.first) - 1])
        tile = int(np.searchsorted(starts, local, side="right")) - 1
        if tile < 1 or local - starts[tile] >= array.rows:
            return None
        return signals["psum"][starts[tile] - 1, local - starts[tile], column]
