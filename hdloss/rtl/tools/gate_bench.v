// Drives a mapped processing element, or with ARRAY an array of them, from a file of port values, one cycle a line, with
// cell delays from an SDF file, and dumps the nets' changes. Inputs change 0.2 ns after the clock edge, as flip-flops do.
// Prints the psum outputs before every edge, for comparison with the cycle model.
`timescale 1ns / 1ps
module gate_bench;
    parameter ROWS = 1, COLUMNS = 1, DATAFLOW = 0, ACCUMULATOR_BITS = 24, MAXIMUM = 20000, ACTIVATION_SIGNED = 0;
    parameter PERIOD = 20;
    localparam A = ACCUMULATOR_BITS;
    reg clk = 0;
    reg [1023:0] stimulus_file, dump_file;
    integer cycle, cycles;

`ifdef ARRAY
    localparam LINE = ROWS * 2 + COLUMNS + ROWS * 8 + COLUMNS * 8 + ROWS * COLUMNS * 8;
    reg [LINE-1:0] now;
    wire [ROWS-1:0] valid, first;
    wire [COLUMNS-1:0] active, result_valid;
    wire [ROWS*8-1:0] row_operand;
    wire [COLUMNS*8-1:0] column_operand;
    wire [ROWS*COLUMNS*8-1:0] local_activation;
    wire [COLUMNS*A-1:0] result;
    assign {local_activation, column_operand, row_operand, active, first, valid} = now;
    array #(.ROWS(ROWS), .COLUMNS(COLUMNS), .DATAFLOW(DATAFLOW), .ACCUMULATOR_BITS(A)) dut (
        .clk(clk), .activation_signed(ACTIVATION_SIGNED != 0), .depthwise(1'b0), .valid(valid), .first(first),
        .active(active), .row_operand(row_operand), .column_operand(column_operand),
        .local_activation(local_activation), .result(result), .result_valid(result_valid));
    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : annotate_row
            for (c = 0; c < COLUMNS; c = c + 1) begin : annotate_column
                initial begin
                    $sdf_annotate(`SDF, dut.row[r].column[c].element);
                    #0 if ($value$plusargs("dump=%s", dump_file)) $dumpvars(1, dut.row[r].column[c].element);
                end
            end
        end
    endgenerate
`else
    localparam LINE = 3 + 16 + A;
    reg [LINE-1:0] now;
    wire [7:0] weight_out, activation_out;
    wire [A-1:0] psum_out;
    wire valid_out, first_out, active_out;
    pe_gates dut (
        .clk(clk), .activation_signed(ACTIVATION_SIGNED != 0), .valid_in(now[0]), .first_in(now[1]),
        .active_in(now[2]), .weight_in(now[3+:8]), .activation_in(now[11+:8]), .psum_in(now[19+:A]),
        .valid_out(valid_out), .first_out(first_out), .active_out(active_out),
        .weight_out(weight_out), .activation_out(activation_out), .psum_out(psum_out));
    initial begin
        $sdf_annotate(`SDF, dut);
        #0 if ($value$plusargs("dump=%s", dump_file)) $dumpvars(1, dut);
    end
`endif

    reg [LINE-1:0] stimulus[0:MAXIMUM-1];
    integer i;
    initial begin
        if (!$value$plusargs("stimulus=%s", stimulus_file) || !$value$plusargs("cycles=%d", cycles)) begin
            $display("error: +stimulus=FILE and +cycles=N are needed");
            $finish;
        end
        $readmemh(stimulus_file, stimulus, 0, cycles - 1);
        if ($value$plusargs("dump=%s", dump_file)) $dumpfile(dump_file);
        now = stimulus[0];
        for (cycle = 0; cycle < cycles; cycle = cycle + 1) begin
            clk = 1;
            #0.2 now = stimulus[cycle];
            #(PERIOD / 2.0 - 0.2) clk = 0;
            #(PERIOD / 2.0);
`ifdef ARRAY
            for (i = 0; i < COLUMNS; i = i + 1)
                if (result_valid[i]) $display("result %0d %0d %0d", cycle, i, result[i*A+:A]);
`else
            $display("%h", psum_out);
`endif
        end
        $finish;
    end
endmodule
