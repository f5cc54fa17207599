// 8x8 multiplier of one processing element, combinational.
// The activation is unsigned or two's complement (activation_signed, constant over a layer). The weight is
// two's complement, or sign and magnitude: then `product` is magnitude x activation and `negate` is the
// weight's sign, applied in the accumulator. |product| <= 128 x 255, so 16 bits always hold it.
module multiplier #(
    parameter SIGN_MAGNITUDE = 0
) (
    input  wire        activation_signed,
    input  wire [7:0]  weight,
    input  wire [7:0]  activation,
    output wire [15:0] product,
    output wire        negate
);
    wire signed [8:0] extended = {activation_signed & activation[7], activation};
    generate
        if (SIGN_MAGNITUDE != 0) begin : sign_magnitude
            wire signed [7:0] magnitude = {1'b0, weight[6:0]};
            wire signed [15:0] value = magnitude * extended;
            assign product = value;
            assign negate  = weight[7];
        end else begin : twos_complement
            wire signed [7:0] signed_weight = weight;
            wire signed [15:0] value = signed_weight * extended;
            assign product = value;
            assign negate  = 1'b0;
        end
    endgenerate
endmodule
