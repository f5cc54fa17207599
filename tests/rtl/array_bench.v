// Drives the array from a file of port values, one cycle a line, and prints every result, then the toggles of every
// register of every element counted from cycle COUNT_FROM on, and of the settled product, base and sum.
`timescale 1ns / 1ps
module array_bench;
    parameter ROWS = 2, COLUMNS = 2, DATAFLOW = 0, SIGN_MAGNITUDE = 0, ACCUMULATOR_BITS = 24, CYCLES = 10;
    parameter ACTIVATION_SIGNED = 0, DEPTHWISE = 0, COUNT_FROM = 0;
    localparam A = ACCUMULATOR_BITS;
    localparam LINE = ROWS * 2 + COLUMNS + ROWS * 8 + COLUMNS * 8 + ROWS * COLUMNS * 8;

    reg [LINE-1:0] stimulus[0:CYCLES-1];
    reg [LINE-1:0] now;
    reg clk = 0;
    reg [1023:0] file;
    integer cycle;

    wire [ROWS-1:0] valid, first;
    wire [COLUMNS-1:0] active, result_valid;
    wire [ROWS*8-1:0] row_operand;
    wire [COLUMNS*8-1:0] column_operand;
    wire [ROWS*COLUMNS*8-1:0] local_activation;
    wire [COLUMNS*A-1:0] result;
    assign {local_activation, column_operand, row_operand, active, first, valid} = now;

    array #(.ROWS(ROWS), .COLUMNS(COLUMNS), .DATAFLOW(DATAFLOW), .SIGN_MAGNITUDE(SIGN_MAGNITUDE),
            .ACCUMULATOR_BITS(A)) dut (
        .clk(clk), .activation_signed(ACTIVATION_SIGNED != 0), .depthwise(DEPTHWISE != 0), .valid(valid), .first(first),
        .active(active), .row_operand(row_operand), .column_operand(column_operand),
        .local_activation(local_activation), .result(result), .result_valid(result_valid));

    function integer ones(input [63:0] word);
        integer i;
        begin
            ones = 0;
            for (i = 0; i < 64; i = i + 1) ones = ones + {31'b0, word[i]};
        end
    endfunction

    reg report = 0;
    genvar r, c;
    generate
        for (r = 0; r < ROWS; r = r + 1) begin : row
            for (c = 0; c < COLUMNS; c = c + 1) begin : column
                integer weight = 0, activation = 0, psum = 0, product = 0, base = 0, sum = 0;
                reg [7:0] last_weight, last_activation;
                reg [A-1:0] last_psum, last_base, last_sum;
                reg [15:0] last_product;
                // The product as a two's complement number, whatever the representation.
                wire [15:0] signed_product = dut.row[r].column[c].element.negate
                                           ? -dut.row[r].column[c].element.product
                                           : dut.row[r].column[c].element.product;
                always @(negedge clk) begin
                    if (cycle > COUNT_FROM) begin
                        weight     <= weight + ones({56'b0, last_weight ^ dut.row[r].column[c].weight_out});
                        activation <= activation + ones({56'b0, last_activation ^ dut.row[r].column[c].activation_out});
                        psum       <= psum + ones({{(64 - A){1'b0}}, last_psum ^ dut.row[r].column[c].psum_out});
                        product    <= product + ones({48'b0, last_product ^ signed_product});
                        base       <= base + ones({{(64 - A){1'b0}},
                                                   last_base ^ dut.row[r].column[c].element.accumulate.base});
                        sum        <= sum + ones({{(64 - A){1'b0}},
                                                  last_sum ^ dut.row[r].column[c].element.accumulate.sum});
                    end
                    last_weight     <= dut.row[r].column[c].weight_out;
                    last_activation <= dut.row[r].column[c].activation_out;
                    last_psum       <= dut.row[r].column[c].psum_out;
                    last_product    <= signed_product;
                    last_base       <= dut.row[r].column[c].element.accumulate.base;
                    last_sum        <= dut.row[r].column[c].element.accumulate.sum;
                end
                always @(posedge report)
                    $display("toggles %0d %0d %0d %0d %0d %0d %0d %0d", r, c, weight, activation, psum, product, base, sum);
            end
        end
    endgenerate

    integer i;
    initial begin
        if (!$value$plusargs("stimulus=%s", file)) begin
            $display("error: +stimulus=FILE is missing");
            $finish;
        end
        $readmemh(file, stimulus);
        for (cycle = 0; cycle < CYCLES; cycle = cycle + 1) begin
            #1 now = stimulus[cycle]; // past the clock edge, like outputs of flip-flops
            #4 clk = 0;
            for (i = 0; i < COLUMNS; i = i + 1)
                if (result_valid[i]) $display("result %0d %0d %0d", cycle, i, result[i*A+:A]);
            #5 clk = 1;
        end
        #5 report = 1;
        #1 $finish;
    end
endmodule
