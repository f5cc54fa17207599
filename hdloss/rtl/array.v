// A ROWS x COLUMNS array of processing elements of one dataflow (see pe.v; README.md gives the schedule).
// Lanes enter row r on the left, column operands at the top of column c; vectors are packed with row or
// column 0 in the lowest bits. The feeder delays row r by r cycles and column c by c.
//
// Output stationary only: with `depthwise` (constant over a layer) every element takes its activation from
// its own port, local_activation, since depthwise channels share none. `result` of column c is the sum of the
// row whose first flag is set: one row a cycle. Other dataflows: the sum at the bottom of the column.
module array #(
    parameter ROWS             = 8,
    parameter COLUMNS          = 8,
    parameter DATAFLOW         = 0,
    parameter SIGN_MAGNITUDE   = 0,
    parameter ACCUMULATOR_BITS = 24
) (
    input  wire                                clk,
    input  wire                                activation_signed,
    input  wire                                depthwise,
    input  wire [ROWS-1:0]                     valid,
    input  wire [ROWS-1:0]                     first,
    input  wire [COLUMNS-1:0]                  active,
    input  wire [ROWS*8-1:0]                   row_operand,
    input  wire [COLUMNS*8-1:0]                column_operand,
    input  wire [ROWS*COLUMNS*8-1:0]           local_activation,
    output wire [COLUMNS*ACCUMULATOR_BITS-1:0] result,
    output wire [COLUMNS-1:0]                  result_valid
);
    localparam A = ACCUMULATOR_BITS;

    /* verilator lint_off UNUSED */
    wire unused = &{1'b0, depthwise, local_activation};
    /* verilator lint_on UNUSED */

    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            for (c = 0; c < COLUMNS; c = c + 1) begin : column
                // Elements on the right and bottom edge forward to nobody.
                /* verilator lint_off UNUSED */
                wire valid_in, first_in, active_in, valid_out, first_out, active_out;
                wire [7:0] left, above, weight_in, activation_in, weight_out, activation_out;
                wire [A-1:0] psum_in, psum_out;
                /* verilator lint_on UNUSED */

                if (c == 0) begin : from_edge
                    assign valid_in = valid[r];
                    assign first_in = first[r];
                    assign left     = row_operand[r*8+:8];
                end else begin : from_left
                    assign valid_in = row[r].column[c-1].valid_out;
                    assign first_in = row[r].column[c-1].first_out;
                    assign left     = (DATAFLOW == 2) ? row[r].column[c-1].activation_out
                                                      : row[r].column[c-1].weight_out;
                end

                if (r == 0) begin : from_top
                    assign active_in = active[c];
                    assign above     = column_operand[c*8+:8];
                    assign psum_in   = {A{1'b0}};
                end else begin : from_above
                    assign active_in = row[r-1].column[c].active_out;
                    // Held operands come over a bus of the column, streaming ones from the element above.
                    assign above     = (DATAFLOW == 1) ? row[r-1].column[c].activation_out
                                                       : column_operand[c*8+:8];
                    assign psum_in   = row[r-1].column[c].psum_out;
                end

                assign weight_in     = (DATAFLOW == 2) ? above : left;
                assign activation_in = (DATAFLOW == 2) ? left
                                     : (DATAFLOW == 1 && depthwise) ? local_activation[(r*COLUMNS+c)*8+:8]
                                     : above;

`ifdef GATE_LEVEL
                pe_gates element (
`else
                pe #(.DATAFLOW(DATAFLOW), .SIGN_MAGNITUDE(SIGN_MAGNITUDE), .ACCUMULATOR_BITS(A)) element (
`endif
                    .clk(clk), .activation_signed(activation_signed),
                    .valid_in(valid_in), .first_in(first_in), .active_in(active_in),
                    .weight_in(weight_in), .activation_in(activation_in), .psum_in(psum_in),
                    .valid_out(valid_out), .first_out(first_out), .active_out(active_out),
                    .weight_out(weight_out), .activation_out(activation_out), .psum_out(psum_out));

                if (DATAFLOW == 1) begin : drain
                    wire [A-1:0] drained;
                    if (r == 0) begin : top
                        assign drained = first_out ? psum_out : {A{1'b0}};
                    end else begin : chain
                        assign drained = row[r-1].column[c].drain.drained | (first_out ? psum_out : {A{1'b0}});
                    end
                end
            end
        end

        for (c = 0; c < COLUMNS; c = c + 1) begin : bottom
            if (DATAFLOW == 1) begin : local_sum
                wire [ROWS-1:0] firsts;
                for (r = 0; r < ROWS; r = r + 1) begin : tap
                    assign firsts[r] = row[r].column[c].first_out;
                end
                assign result[c*A+:A]  = row[ROWS-1].column[c].drain.drained;
                assign result_valid[c] = |firsts;
            end else begin : flowing_sum
                reg written;
                always @(posedge clk)
                    written <= row[ROWS-1].column[c].valid_out & row[ROWS-1].column[c].active_out;
                assign result[c*A+:A]  = row[ROWS-1].column[c].psum_out;
                assign result_valid[c] = written;
            end
        end
    endgenerate
endmodule
