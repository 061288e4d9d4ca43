/* $title
 *
 * Every result is rounded exactly once, where it lands; all sums before are exact$bounded.
 */
#include "$name.h"
#include "${name}_data.h"

#define N_IN ${guard}_N_IN
#define N_REC ${guard}_N_REC
#define N_OUT ${guard}_N_OUT

$helpers
$landings
void ${name}_restart(${name}_device *d)
{
    int i;
    for (i = 0; i < N_REC; i++) {
        d->h[i] = 0;
$clear_rec    }
$clear_in}

void ${name}_start(${name}_device *d)
{
$start    ${name}_restart(d);
}

const ${name}_output *${name}_step(${name}_device *d, const ${name}_input *x)
{
$step    return d->y;
}
$learn
