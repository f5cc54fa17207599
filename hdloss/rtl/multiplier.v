// 8x8 multiplier of one processing element, combinational: partial products by and gates, negative rows and columns
// inverted with a constant correction (modified Baugh-Wooley), summed by whatever carry-save tree synthesis makes.
// Charles R. Baugh and Bruce A. Wooley, A Two's Complement Parallel Array Multiplication Algorithm, IEEE Trans.
// Computers C-22, 1973.
//
// The activation is unsigned or two's complement (activation_signed, constant over a layer): nine bits, the ninth its
// sign. The weight is two's complement, or sign and magnitude: then `product` is magnitude x activation and `negate`
// is the weight's sign, applied in the accumulator. |product| <= 128 x 255, so 16 bits always hold it.
//
// SIGN_EXTENDED = 1 leaves the product to synthesis instead, which extends both signs over the whole product: a poorer
// multiplier, here to show how much of the energy model hangs on it.
module multiplier #(
    parameter SIGN_MAGNITUDE = 0,
    parameter SIGN_EXTENDED  = 0
) (
    input  wire        activation_signed,
    input  wire [7:0]  weight,
    input  wire [7:0]  activation,
    output wire [15:0] product,
    output wire        negate
);
    wire [8:0] x = {activation_signed & activation[7], activation};
    /* verilator lint_off UNUSED */
    wire [7:0] w = (SIGN_MAGNITUDE != 0) ? {1'b0, weight[6:0]} : weight;
    /* verilator lint_on UNUSED */
    assign negate = (SIGN_MAGNITUDE != 0) & weight[7];

    genvar i;
    generate
        if (SIGN_EXTENDED != 0) begin : sign_extended
            wire signed [15:0] value = $signed(w) * $signed(x);
            assign product = value;
        end else begin : baugh_wooley
            localparam ROWS = (SIGN_MAGNITUDE != 0) ? 7 : 8;
            // -(2^7 sum of row 7) = inverted row + 2^7 - 2^15; -(2^8 sum of column 8) = inverted column + 2^8 - 2^15.
            localparam [15:0] CORRECTION = (SIGN_MAGNITUDE != 0) ? 16'h8100 : 16'h0180;
            wire [15:0] row[0:7];
            for (i = 0; i < 8; i = i + 1) begin : partial
                if (i < ROWS) begin : used
                    wire [8:0] bits = {9{w[i]}} & x;
                    wire [8:0] inverted = (i == 7) ? {bits[8], ~bits[7:0]} : {~bits[8], bits[7:0]};
                    assign row[i] = {7'b0, inverted} << i;
                end else begin : unused
                    assign row[i] = 16'b0;
                end
            end
            assign product = row[0] + row[1] + row[2] + row[3] + row[4] + row[5] + row[6] + row[7] + CORRECTION;
        end
    endgenerate
endmodule
