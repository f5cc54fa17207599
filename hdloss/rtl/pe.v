// One processing element: operand registers that forward to the neighbour, multiplier, accumulator, and the
// flags that travel with the data. README.md in this folder defines the meaning of every flag, cycle by cycle.
//
// DATAFLOW 0, input stationary:  the weight enters from the left and is forwarded, the activation is taken
//                                from the column's bus at a tile's first step and held, sums flow down.
// DATAFLOW 1, output stationary: weight and activation both stream through, the sum stays.
// DATAFLOW 2, weight stationary: as 0 with weight and activation exchanged.
module pe #(
    parameter DATAFLOW         = 0,
    parameter SIGN_MAGNITUDE   = 0,
    parameter ACCUMULATOR_BITS = 24,
    parameter SIGN_EXTENDED    = 0
) (
    input  wire                        clk,
    input  wire                        activation_signed,
    input  wire                        valid_in,
    input  wire                        first_in,
    input  wire                        active_in,
    input  wire [7:0]                  weight_in,
    input  wire [7:0]                  activation_in,
    input  wire [ACCUMULATOR_BITS-1:0] psum_in,
    output reg                         valid_out,
    output reg                         first_out,
    output reg                         active_out,
    output wire [7:0]                  weight_out,
    output wire [7:0]                  activation_out,
    output wire [ACCUMULATOR_BITS-1:0] psum_out
);
    wire enable      = valid_in & active_in;
    wire enable_held = enable & first_in;

    always @(posedge clk) begin
        valid_out  <= valid_in;
        first_out  <= first_in;
        active_out <= active_in;
    end

    gated_register #(.BITS(8)) weight_register (
        .clk(clk), .enable((DATAFLOW == 2) ? enable_held : enable), .d(weight_in), .q(weight_out));
    gated_register #(.BITS(8)) activation_register (
        .clk(clk), .enable((DATAFLOW == 0) ? enable_held : enable), .d(activation_in), .q(activation_out));

    wire [15:0] product;
    wire        negate;
    multiplier #(.SIGN_MAGNITUDE(SIGN_MAGNITUDE), .SIGN_EXTENDED(SIGN_EXTENDED)) multiply (
        .activation_signed(activation_signed), .weight(weight_out), .activation(activation_out),
        .product(product), .negate(negate));

    accumulator #(.BITS(ACCUMULATOR_BITS), .LOCAL(DATAFLOW == 1), .NEGATES(SIGN_MAGNITUDE != 0)) accumulate (
        .clk(clk), .enable(valid_out & active_out), .first(first_out),
        .product(product), .negate(negate), .psum_in(psum_in), .psum(psum_out));
endmodule
