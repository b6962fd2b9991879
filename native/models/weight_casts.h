// Parameters in the type that autocast computes in, all cast by one operator. Autocast itself casts each
// parameter by a kernel of its own, and its gradient back by another.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <vector>

namespace mcloss {

// A layer whose parameters autocast would cast. Those keep their type; while there are casts of them, the
// layer computes with the casts, which autocast then leaves as they are.
class CastLayer : public torch::nn::Module {
 protected:
  // What to compute with in place of the layer's parameter number `place`, in the order of their
  // registration. An undefined parameter stays undefined.
  const at::Tensor& in_use(const at::Tensor& parameter, size_t place) const {
    return place < casts_.size() ? casts_[place] : parameter;
  }

 private:
  friend class WeightCasts;
  std::vector<at::Tensor> casts_;
};

class WeightCasts {
 public:
  // The layers' parameters must be where and how they will stay: the casts take their device and layout.
  WeightCasts(std::vector<std::shared_ptr<CastLayer>> layers, at::ScalarType dtype);

  // The layers compute with their parameters' present values from now on, always in the same memory, so
  // that a recorded step finds them there. Where gradients are on, the casts' gradients become the
  // parameters' own, in every backward pass until the next call.
  void renew();

 private:
  std::vector<std::shared_ptr<CastLayer>> layers_;
  std::vector<at::Tensor> parameters_, casts_;
};

}  // namespace mcloss
