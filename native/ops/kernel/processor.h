// Which of the three forms of a loops.cpp runs here.
#pragma once

#include <string>

namespace mcloss {

// capability: as at::get_cpu_capability() gives it, LibTorch's own choice for this processor; the
// environment variable ATEN_CPU_CAPABILITY lowers it.
template <typename Form>
Form form_for_processor(const std::string& capability, Form plain, Form avx2, Form avx512) {
  if (capability == "AVX512") return avx512;
  return capability == "AVX2" ? avx2 : plain;
}

}  // namespace mcloss
