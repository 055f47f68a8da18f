// Random numbers by place (splitmix64), the same in every language: see also splitmix.rs and splitmix.py.
#include <stdint.h>

// 64 random bits.
static inline uint64_t bits(uint64_t i) {
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

// A random number from 0 to 1.
static inline double unit(uint64_t i) {
    return (bits(i) >> 11) / (double)(1ull << 53);
}
