// Exhaustive check of both multipliers, unsigned and signed activations, and of the accumulator at random sums.
`timescale 1ns / 1ps
module arithmetic_bench;
    localparam A = 24;
    reg activation_signed = 0;
    reg [7:0] weight = 0, activation = 0;
    wire [15:0] product_tc, product_sm;
    wire negate_tc, negate_sm;
    multiplier #(.SIGN_MAGNITUDE(0)) twos_complement (
        .activation_signed(activation_signed), .weight(weight), .activation(activation),
        .product(product_tc), .negate(negate_tc));
    multiplier #(.SIGN_MAGNITUDE(1)) sign_magnitude (
        .activation_signed(activation_signed), .weight(weight), .activation(activation),
        .product(product_sm), .negate(negate_sm));

    reg clk = 0, enable = 1, first = 0;
    reg [A-1:0] psum_in = 0, expected = 0;
    wire [A-1:0] psum_through, psum_local;
    accumulator #(.BITS(A), .LOCAL(0), .NEGATES(1)) through (
        .clk(clk), .enable(enable), .first(first), .product(product_sm), .negate(negate_sm), .psum_in(psum_in),
        .psum(psum_through));
    accumulator #(.BITS(A), .LOCAL(1)) in_place (
        .clk(clk), .enable(enable), .first(first), .product(product_tc), .negate(negate_tc), .psum_in(psum_in),
        .psum(psum_local));

    integer failures = 0, checks = 0, s, i, j, x, magnitude, seed = 1;
    integer sum_local, sum_through;

    task check(input integer got, input integer right, input [8*16-1:0] what);
        begin
            checks = checks + 1;
            if (got !== right) begin
                failures = failures + 1;
                if (failures < 10)
                    $display("error: %0s: weight %h activation %h signed %0d: %0d, %0d is right", what, weight,
                             activation, activation_signed, got, right);
            end
        end
    endtask

    initial begin
        for (s = 0; s < 2; s = s + 1)
            for (i = 0; i < 256; i = i + 1)
                for (j = 0; j < 256; j = j + 1) begin
                    activation_signed = s;
                    weight = i;
                    activation = j;
                    #1;
                    x = (s == 1 && j > 127) ? j - 256 : j;
                    magnitude = i % 128;
                    check($signed(product_tc), (i > 127 ? i - 256 : i) * x, "twos_complement");
                    check({31'b0, negate_tc}, 0, "negate");
                    check($signed(product_sm), magnitude * x, "sign_magnitude");
                    check({31'b0, negate_sm}, i / 128, "negate");
                end
        sum_local = 0;
        first = 1;
        for (i = 0; i < 5000; i = i + 1) begin
            weight = $random(seed);
            activation = $random(seed);
            psum_in = $random(seed);
            enable = (i == 0) || ($random(seed) & 7) != 0;
            #1;
            x = activation;
            if (activation_signed) x = $signed(activation);
            magnitude = weight[6:0];
            if (enable) begin
                if (first) sum_local = 0;
                sum_local = sum_local + $signed(weight) * x;
                sum_through = $signed(psum_in) + (weight[7] ? -magnitude : magnitude) * x;
                sum_local = (sum_local << (32 - A)) >>> (32 - A);
                sum_through = (sum_through << (32 - A)) >>> (32 - A);
            end
            #1 clk = 1;
            #1 clk = 0;
            check($signed(psum_local), sum_local, "local sum");
            check($signed(psum_through), sum_through, "flowing sum");
            first = ($random(seed) & 15) == 0;
        end
        $display("%0d checks, %0d failures", checks, failures);
        if (failures == 0) $display("arithmetic correct");
        $finish;
    end
endmodule
