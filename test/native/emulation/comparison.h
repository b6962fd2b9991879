// Every operator that has a CUDA kernel is registered a second time, as mcloss_emulated::NAME on the CPU:
// the translated kernel under the schema of mcloss::NAME. While a Comparison lives, each call of
// mcloss::NAME runs both on the same arguments, compares what they give and returns the kernel's.
#pragma once

#include <memory>

namespace emulation {

class Comparison {
 public:
  Comparison();
  ~Comparison();
  // A test case for each operator and dtype, which prints shapes, layouts and largest differences.
  void report() const;

 private:
  struct Registrations;
  std::unique_ptr<Registrations> registrations_;
};

}  // namespace emulation
