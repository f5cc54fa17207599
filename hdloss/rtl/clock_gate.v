// Clock gate: a latch that is transparent while the clock is low, and an and gate. The clock reaches the
// registers behind it only in cycles whose enable was high before the rising edge, without glitches.
module clock_gate (
    input  wire clk,
    input  wire enable,
    output wire gated_clk
);
    reg enable_latched;
    /* verilator lint_off LATCH */
    /* verilator lint_off COMBDLY */
    always @(clk or enable)
        if (!clk) enable_latched = enable;
    /* verilator lint_on COMBDLY */
    /* verilator lint_on LATCH */
    assign gated_clk = clk & enable_latched;
endmodule
