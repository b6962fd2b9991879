#include "train/device/gpu_code.h"

#include <algorithm>

namespace mcloss {
namespace {

std::string dotted(int architecture) {
  return std::to_string(architecture / 10) + "." + std::to_string(architecture % 10);
}

}  // namespace

std::string refusal_of(const Gpu& gpu, const std::vector<int>& compiled) {
  const auto oldest = std::min_element(compiled.begin(), compiled.end());
  if (oldest != compiled.end() && gpu.capability >= *oldest) return {};
  std::string list;
  for (const int architecture : compiled) list += (list.empty() ? "" : ", ") + dotted(architecture);
  return gpu.name + " has compute capability " + dotted(gpu.capability) +
         ", and this add-on has code for " + (list.empty() ? "no GPU" : list + " and newer");
}

}  // namespace mcloss
