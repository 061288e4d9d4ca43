// Self-checking test bench of $name: $steps steps, every code compared with the golden trajectory.
//
//     iverilog -g2005-sv -o bench $name.v ${name}_bench.v && vvp -n bench
`timescale 1ns / 1ns
module ${name}_bench;
    localparam STEPS = $steps;
    reg clk = 0, rst = 1, start = 0, restart = 0, learn = 0, x_write = 0, target_write = 0;
    reg [$ib:0] x_address = 0, target_address = 0;
    reg signed [$xb:0] x_data = 0;
    reg signed [$tb:0] target_data = 0;
    wire done;
    wire signed [$yb:0] y_data;
    $name core (
        .clk(clk), .rst(rst), .start(start), .restart(restart), .learn(learn), .done(done),
        .x_write(x_write), .x_address(x_address), .x_data(x_data),
        .target_write(target_write), .target_address(target_address), .target_data(target_data),
        .y_address($zero), .y_data(y_data)
    );
    always #5 clk = !clk;

    reg [7:0] flags [0:STEPS - 1];  // bit 0: a sequence begins, bit 1: there is a target
$memories
    integer t, k, compared, differ, clocks;
    initial begin
        $$readmemh("${name}_flags.mem", flags);
$reads        compared = 0;
        differ = 0;
        clocks = 0;
        pass(0);
$learning        $$display("%0d codes compared, %0d differ, %0d clocks a step", compared, differ, clocks / STEPS);
        if (differ != 0) $$fatal(1, "codes differ");
        $$finish;
    end

    task check(input [8 * 16 - 1:0] what, input signed [63:0] got, input signed [63:0] expected);
        begin
            compared = compared + 1;
            if (got !== expected) begin
                differ = differ + 1;
                if (differ < 10) $$display("%0s, step %0d, element %0d: %0d found, %0d expected", what, t, k, got, expected);
            end
        end
    endtask

    task pass(input learning);
        begin
            @(negedge clk) rst = 1;
            @(negedge clk) rst = 0;
            for (t = 0; t < STEPS; t = t + 1) begin
                for (k = 0; k < $n_in; k = k + 1) begin
                    x_write = 1;
                    x_address = k;
                    x_data = golden_x[t * $n_in + k];
                    @(negedge clk);
                end
                x_write = 0;
                for (k = 0; k < $n_out; k = k + 1) begin
                    target_write = 1;
                    target_address = k;
                    target_data = golden_target[t * $n_out + k];
                    @(negedge clk);
                end
                target_write = 0;
                start = 1;
                restart = flags[t][0];
                learn = learning && flags[t][1];
                @(negedge clk) start = 0;
                clocks = learning == $last ? clocks + 1 : 0;
                while (!done) begin
                    @(negedge clk);
                    if (learning == $last) clocks = clocks + 1;
                end
$checks            end
        end
    endtask
endmodule
