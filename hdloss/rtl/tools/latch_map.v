// Maps yosys' latch that is transparent at a low enable to the library's, which is transparent at a high one.
module \$_DLATCH_N_ (input E, input D, output Q);
    wire transparent;
    INVX1 invert (.A(E), .Y(transparent));
    LATCH _TECHMAP_REPLACE_ (.CLK(transparent), .D(D), .Q(Q));
endmodule
