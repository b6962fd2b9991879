// MCLOSS_HOST_DEVICE: a function for the CPU and, in a .cu file, for the GPU too.
#pragma once

#ifdef __CUDACC__
#define MCLOSS_HOST_DEVICE __host__ __device__
#else
#define MCLOSS_HOST_DEVICE
#endif
