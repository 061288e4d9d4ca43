// $title
//
// Reference core, written by neurolrnn $version; docs/deploy_verilog.md explains it. One multiplier: every result is a
// sum of products, made in index order in an accumulator of $acc bits, rounded once where it lands.
//
//   load x (and the target), raise `start` for one clock with `restart` at the start of a sequence$learn_comment,
//   wait for `done`, read y.
//
// Memories are read synchronously, one port each, and start from the .mem files. `rst` does not restore weights.
module $name (
    input wire clk,
    input wire rst,
    input wire start,
    input wire restart,
    input wire learn,
    output reg done,
    input wire x_write,
    input wire [$ib:0] x_address,
    input wire signed [$xb:0] x_data,
    input wire target_write,
    input wire [$ib:0] target_address,
    input wire signed [$tb:0] target_data,
    input wire [$ib:0] y_address,
    output reg signed [$yb:0] y_data
);
    localparam N_IN = $n_in;
    localparam N_REC = $n_rec;
    localparam N_OUT = $n_out;

    // What is multiplied with what, in the order of a step; a sum of several parts lands after the last of them.
$slot_names
    localparam IDLE = 2'd0, FETCH = 2'd1, MULTIPLY = 2'd2, LAND = 2'd3;

$memories
    reg [1:0] state;
    reg [$sb:0] slot;
    reg [$ib:0] i, j;
    reg has_target;
    reg signed [$accb:0] acc;

    // Operands and lengths of each part.
    reg signed [$ab:0] a;
    reg signed [$bb:0] b;
    reg [$ib:0] last_i, last_j;
    reg lands;      // the sum ends with this part
    reg each;       // every product lands: an update
    reg by_i;       // the vector is read at i
    reg [$sb:0] first, next;
    always @* begin
        a = 0;
        b = 0;
        last_i = 0;
        last_j = 0;
        lands = 1'b1;
        each = 1'b0;
        by_i = 1'b0;
        first = slot;
        next = slot + 1'b1;
        case (slot)
$slots            default: ;
        endcase
    end

    wire signed [$pb:0] product = a * b;
    reg signed [$accb:0] sum;
    always @* begin
        sum = acc + product;
        case (slot)
$lifts            default: ;
        endcase
$declared    end

    // Synchronous reads.
    wire [$ib:0] at = by_i ? i : j;
    always @(posedge clk) begin
$reads        y_data <= y[y_address];
    end
$registers
$softmax$functions
    always @(posedge clk) begin
        done <= 1'b0;
        if (x_write) x[x_address] <= x_data;
        if (target_write) target[target_address] <= target_data;
        if (rst) begin
            state <= IDLE;
            done <= 1'b0;
            slot <= 0;
            i <= 0;
            j <= 0;
            acc <= 0;
            has_target <= 1'b0;
$reset        end else case (state)
            IDLE: if (start) begin
                has_target <= learn;
                slot <= restart ? CLEAR : FIRST;
                state <= restart ? LAND : FETCH;
                i <= 0;
                j <= 0;
                acc <= 0;
            end
            FETCH: state <= MULTIPLY;
            MULTIPLY: begin
                acc <= sum;
$divide                if (j != last_j && !each) begin
                    j <= j + 1'b1;
                    state <= FETCH;
                end else if (lands) begin
                    state <= LAND;
                end else begin
                    j <= 0;
                    slot <= next;
                    state <= FETCH;
                end
            end
            LAND: begin
                acc <= 0;
                state <= slot == CLEAR && i != last_i ? LAND : FETCH;
                case (slot)
$landings                    default: ;
                endcase
                if (each && j != last_j) begin
                    j <= j + 1'b1;
                end else begin
                    j <= 0;
                    if (i != last_i) begin
                        i <= i + 1'b1;
                        slot <= first;
                    end else begin
                        i <= 0;
                        slot <= next;
                        if ($finished) begin
                            state <= IDLE;
                            done <= 1'b1;
                        end
                    end
                end
            end
        endcase
    end
endmodule
