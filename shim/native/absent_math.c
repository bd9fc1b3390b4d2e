// What JavaScript's Math has and no code of ours calls. libm's own, a variant for each kind of processor, would be a
// tenth of every program; the build refuses a bundle that names one of these (install/build.mjs).
#include <stdlib.h>

#define ABSENT(name) \
    double name(double x) { \
        (void)x; \
        abort(); \
    }

ABSENT(acos) ABSENT(acosh) ABSENT(asin) ABSENT(asinh) ABSENT(atan) ABSENT(atanh) ABSENT(cbrt) ABSENT(cos) ABSENT(cosh)
ABSENT(exp) ABSENT(expm1) ABSENT(log) ABSENT(log1p) ABSENT(log2) ABSENT(sin) ABSENT(sinh) ABSENT(tan) ABSENT(tanh)

double atan2(double y, double x) {
    (void)y, (void)x;
    abort();
}

double hypot(double x, double y) {
    (void)x, (void)y;
    abort();
}
