/* $title
 *
 * Integers only, C99, no heap, no library beyond stdint.h. Written by neurolrnn $version; docs/deploy_c.md explains it.
 *
 * h = keep h + gain (W h + B x$coupled), y = A h; $learning
 */
#ifndef ${guard}_H
#define ${guard}_H

#include <stdint.h>

#define ${guard}_N_IN $n_in
#define ${guard}_N_REC $n_rec
#define ${guard}_N_OUT $n_out

/* Fraction bits: value = code / 2^bits. */
#define ${guard}_INPUT_FRAC ($f_input)
#define ${guard}_OUTPUT_FRAC ($f_output)
#define ${guard}_TARGET_FRAC ($f_target)

typedef $t_input ${name}_input;   /* $q_input, codes $r_input */
typedef $t_output ${name}_output; /* $q_output, codes $r_output */
typedef $t_target ${name}_target; /* $q_target, codes $r_target */

typedef struct {
$fields} ${name}_device;

/* Power-up: weights as exported, everything else at rest. */
void ${name}_start(${name}_device *d);

/* A new sequence begins: state and traces are cleared; weights and random bits go on. */
void ${name}_restart(${name}_device *d);

/* One step. Inputs must be codes of the range above. Returns the outputs, which stay valid until the next step. */
const ${name}_output *${name}_step(${name}_device *d, const ${name}_input *x);
$learn_declared
#endif
