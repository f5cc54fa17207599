// Adder and partial-sum register of one processing element.
//   sum = base +- product, registered when enabled (minus only where NEGATES = 1)
// LOCAL = 0: base is the partial sum of the element above. LOCAL = 1: base is the own register, or zero when
// `first` is set in an enabled cycle (output stationary).
module accumulator #(
    parameter BITS  = 24,
    parameter LOCAL = 0,
    parameter NEGATES = 0
) (
    input  wire            clk,
    input  wire            enable,
    input  wire            first,
    input  wire [15:0]     product,
    input  wire            negate,
    input  wire [BITS-1:0] psum_in,
    output wire [BITS-1:0] psum
);
    wire [BITS-1:0] base = (LOCAL == 0) ? psum_in : (first & enable) ? {BITS{1'b0}} : psum;
    wire [BITS-1:0] extended = {{(BITS - 16){product[15]}}, product};
    wire [BITS-1:0] sum;
    generate
        if (NEGATES != 0) begin : add_or_subtract
            wire carry_in_bit;
            assign {sum, carry_in_bit} = {base, 1'b1} + {extended ^ {BITS{negate}}, negate};
            /* verilator lint_off UNUSED */
            wire unused = &{1'b0, carry_in_bit};
            /* verilator lint_on UNUSED */
        end else begin : add
            assign sum = base + extended;
        end
    endgenerate

    gated_register #(.BITS(BITS)) register (.clk(clk), .enable(enable), .d(sum), .q(psum));

    /* verilator lint_off UNUSED */
    wire unused = &{1'b0, first, negate, psum_in};
    /* verilator lint_on UNUSED */
endmodule
