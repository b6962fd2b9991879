#include "napi/loss_wrap.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <memory>

#include "losses/loss.h"
#include "models/last_layer.h"
#include "napi/async_op.h"
#include "napi/failure.h"
#include "napi/tensors.h"

namespace mcloss {
namespace {

struct LossCall {
  LossCall(const LossConfig& config, const ModelConfig& model, int64_t width)
      : loss(make_loss(config, {model, 1, 1, width})),
        layer(model.classifier, width, model.num_classes) {}

  void run() {
    loss->to(x.scalar_type());
    if (at::Tensor* const own = loss->named_buffers().find("centres"); own && centres.defined()) {
      own->copy_(centres);
    }
    const c10::AutoGradMode mode(with_grad);
    x.requires_grad_(with_grad);
    LossInput input;
    input.embedding = x;
    input.logits = layer.forward(x);
    input.target = target.to(at::kLong);
    input.scalar = at::full({}, scalar, x.options().requires_grad(false));
    eval_logits = input.logits.detach();
    output = loss->forward(input);
    if (with_grad) output.loss.backward();
    if (output.buffer_sums.defined()) loss->update_buffers(output.buffer_sums);
  }

  Napi::Value result(Napi::Env env) const {
    Napi::Object object = Napi::Object::New(env);
    object["loss"] = output.loss.item<double>();
    Napi::Object parts = Napi::Object::New(env);
    for (const auto& [name, value] : output.parts) parts[name] = value.item<double>();
    object["parts"] = parts;
    object["evalLogits"] = array_of(env, eval_logits);
    object["logits"] = array_of(env, output.logits.defined() ? output.logits : eval_logits);
    if (with_grad) {
      object["gradEmbedding"] = array_of(env, x.grad());
      object["gradWeight"] = array_of(env, layer.rows.grad());
      if (layer.bias.defined()) object["gradBias"] = array_of(env, layer.bias.grad());
    }
    if (const at::Tensor* const own = loss->named_buffers().find("centres")) {
      object["centres"] = array_of(env, *own);
    }
    return object;
  }

  const std::shared_ptr<Loss> loss;
  LastLayer layer;
  at::Tensor x, target, centres;  // over JavaScript's memory
  double scalar = 0;
  bool with_grad = false;
  at::Tensor eval_logits;
  LossOutput output;
};

Napi::Value compute_loss_js(const Napi::CallbackInfo& info) {
  return guarded_promise(info.Env(), [&]() -> Napi::Value {
    const Fields fields(info[0], "computeLoss");
    const auto samples = fields.get<int64_t>("samples", ranges::size);
    const auto width = fields.get<int64_t>("width", ranges::size);
    ModelConfig model;
    fields("numClasses", model.num_classes, ranges::size);
    fields("classifier", model.classifier);
    const int64_t classes = model.num_classes;

    const at::ScalarType dtype = float_dtype_of(fields.value("embedding"));
    Views views;
    const at::Tensor x = views.of(fields, "embedding", dtype, {samples, width});
    const at::Tensor rows = views.of(fields, "weight", dtype, {classes, width});
    const at::Tensor bias = fields.has("bias") ? views.of(fields, "bias", dtype, {classes})
                                               : at::zeros({classes}, dtype);
    const auto call = std::make_shared<LossCall>(fields.get<LossConfig>("loss"), model, width);
    call->x = x;
    call->layer.rows.set_data(rows);
    if (call->layer.bias.defined()) call->layer.bias.set_data(bias);
    call->target = views.of(fields, "target", at::kInt, {samples});
    if (fields.has("centres")) call->centres = views.of(fields, "centres", dtype, {classes, width});
    fields("scalar", call->scalar, ranges::finite);
    fields("grad", call->with_grad);
    return AsyncOp::start(
        info.Env(), [call] { call->run(); }, [call](Napi::Env env) { return call->result(env); },
        std::move(views.keep));
  });
}

}  // namespace

void export_losses(Napi::Env env, Napi::Object exports) {
  exports["computeLoss"] = Napi::Function::New(env, compute_loss_js, "computeLoss");
}

}  // namespace mcloss
