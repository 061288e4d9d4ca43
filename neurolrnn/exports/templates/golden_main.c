/* Golden test of $name: exit code 0 if every code is the expected one. */
#include <stdio.h>

#include "$name.h"
#include "${name}_golden.h"

static ${name}_device device;
static long compared, differ;

static void check(const char *what, int step, int k, long got, long expected)
{
    compared++;
    if (got != expected && differ++ < 10)
        printf("%s, step %d, element %d: %ld found, %ld expected\n", what, step, k, got, expected);
}

int main(void)
{
    int t, i;
    ${name}_start(&device);
    for (t = 0; t < STEPS; t++) {
        if (golden_first[t])
            ${name}_restart(&device);
        ${name}_step(&device, golden_x[t]);
$idle        for (i = 0; i < ${guard}_N_REC; i++)
            check("state", t, i, device.h[i], inference_h[t][i]);
        for (i = 0; i < ${guard}_N_OUT; i++)
            check("output", t, i, device.y[i], inference_y[t][i]);
    }
$learning    printf("%ld codes compared, %ld differ\n", compared, differ);
    return differ != 0;
}
