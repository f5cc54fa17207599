// A register whose clock stops while it holds. One clock gate serves at most eight flip-flops, so that every
// gated clock net of a processing element has the same load.
module gated_register #(
    parameter BITS = 8
) (
    input  wire            clk,
    input  wire            enable,
    input  wire [BITS-1:0] d,
    output wire [BITS-1:0] q
);
    genvar i;
    generate
        for (i = 0; i < BITS; i = i + 8) begin : slice
            localparam WIDTH = (BITS - i < 8) ? BITS - i : 8;
            wire gated_clk;
            clock_gate gate (.clk(clk), .enable(enable), .gated_clk(gated_clk));
            reg [WIDTH-1:0] held;
            always @(posedge gated_clk) held <= d[i+:WIDTH];
            assign q[i+:WIDTH] = held;
        end
    endgenerate
endmodule
