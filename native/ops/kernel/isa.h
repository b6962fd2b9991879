// Names of what a loops.cpp gives away. CMake compiles it once for each kind of processor and passes
// MCLOSS_ISA (plain, avx2 or avx512) and MCLOSS_VECTOR_BYTES, the width of that processor's registers.
#pragma once

#define MCLOSS_JOINED(name, isa) name##_##isa
#define MCLOSS_JOIN(name, isa) MCLOSS_JOINED(name, isa)
#define MCLOSS_FOR_ISA(name) MCLOSS_JOIN(name, MCLOSS_ISA)
