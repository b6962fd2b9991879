#include "emulation/comparison.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/where.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "check.h"
#include "emulation/block.h"

namespace emulation {
namespace {

using Stack = torch::jit::Stack;

// A key below autograd that nothing else uses here: gradients and refused derivatives stay those of
// mcloss::NAME.
constexpr auto kBelowAutograd = c10::DispatchKey::Fake;
const std::string kSpace = "mcloss::", kEmulatedSpace = "mcloss_emulated::";

struct Output {
  std::string name;
  at::Tensor value;
};

// What the report says of one operator in one dtype.
struct Seen {
  int64_t calls = 0, in_all_orders = 0;
  std::set<std::vector<int64_t>> shapes;
  std::set<std::string> layouts;
  std::map<std::string, double> differences;  // of each result, of its largest value
  std::vector<std::string> wrong;
};
std::map<std::string, Seen> seen;

// Forward alone for most calls of an operator; the first and every fifth after it in all orders.
std::vector<Order> orders(int64_t call) {
  const auto seed = static_cast<uint32_t>(call);
  if (call % 5 != 1 && !test::is_soak()) return {{}};
  return {{}, {Order::reverse}, {Order::random, seed}, {Order::random, ~seed}};
}

std::string layout_of(const at::Tensor& tensor) {
  std::string layout = "strided";
  if (tensor.is_contiguous()) {
    layout = "contiguous";
  } else if (tensor.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    layout = "channels_last";
  }
  const bool aligned = reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0;
  return aligned ? layout : layout + " unaligned";
}

// By its name in the schema.
const at::IValue& argument(const c10::FunctionSchema& schema,
                           const std::vector<at::IValue>& arguments, const std::string& name) {
  return arguments.at(static_cast<size_t>(schema.argumentIndexWithName(name).value()));
}

// The one that the report is about: what a kernel reads or fills.
const at::Tensor& main_tensor(const c10::FunctionSchema& schema,
                              const std::vector<at::IValue>& arguments) {
  for (const char* name : {"x", "features", "pixels"}) {
    if (schema.argumentIndexWithName(name)) return argument(schema, arguments, name).toTensor();
  }
  return arguments[0].toTensor();
}

double largest(const at::Tensor& values) {
  return at::where(values.isfinite(), values.abs(), 0).max().item<double>();
}

// The largest of what is added up to a result that may be far smaller, since the terms cancel: what a
// sum rounds is in proportion to its terms.
double largest_term(const c10::FunctionSchema& schema, const std::vector<at::IValue>& arguments,
                    const std::vector<Output>& outputs, const std::string& name) {
  const auto output = [&](const char* wanted) {
    const auto found = std::find_if(outputs.begin(), outputs.end(),
                                    [&](const Output& each) { return each.name == wanted; });
    return largest(found->value);
  };
  const auto factor = [&](const char* wanted) {
    return std::abs(argument(schema, arguments, wanted).toDouble());
  };
  if (name == "loss") {  // weights times its parts; a class's diversity is subtracted from 1
    return factor("dis") * (output("dis") + output("class_scores")) +
           (factor("div") + factor("per_xi")) * (output("diversity") + 1);
  }
  // The logarithm of a sum of exponentials minus a score.
  if (name == "dis") return output("dis") + output("class_scores");
  if (name == "grad_weight") {  // the sum of grad times values whose standard deviation is 1
    const at::Tensor grad = argument(schema, arguments, "grad").toTensor();
    return largest(grad.to(at::kDouble)) * static_cast<double>(grad.numel() / grad.size(1));
  }
  if (name == "grad_x") {  // of a channel's gradient its mean and its part along x are subtracted
    constexpr int64_t kScale = 2;  // a row of `saved`: d y / d x
    return largest(argument(schema, arguments, "grad").toTensor().to(at::kDouble)) *
           largest(argument(schema, arguments, "saved").toTensor()[kScale]);
  }
  return 0;
}

bool is_mutable(const c10::Argument& argument) {
  return argument.alias_info() && argument.alias_info()->isWrite();
}

// Calls with copies of what the operator writes to. The results, and those copies.
std::vector<Output> call(const c10::OperatorHandle& op, std::vector<at::IValue> arguments) {
  const auto& schema = op.schema();
  std::vector<Output> outputs;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const c10::Argument& argument = schema.arguments()[i];
    if (!is_mutable(argument) || !arguments[i].isTensor()) continue;
    arguments[i] = arguments[i].toTensor().clone();
    outputs.push_back({argument.name(), arguments[i].toTensor()});
  }
  Stack stack = std::move(arguments);
  op.callBoxed(stack);
  for (size_t i = 0; i < stack.size(); ++i) {
    const std::string& name = schema.returns()[i].name();
    outputs.push_back({name.empty() ? "result" : name, stack[i].toTensor()});
  }
  return outputs;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor left = a.contiguous(), right = b.contiguous();
  return left.scalar_type() == right.scalar_type() && left.sizes() == right.sizes() &&
         (left.numel() == 0 ||
          std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0);
}

// The largest difference in units of the largest value or term; infinity where one is finite and the
// other is not.
double difference(const at::Tensor& kernel, const at::Tensor& cpu, double term) {
  if (same_bits(kernel, cpu)) return 0;
  const at::Tensor a = kernel.to(at::kDouble), b = cpu.to(at::kDouble);
  const at::Tensor alike = a.eq(b).logical_or(a.isnan().logical_and(b.isnan()));
  const at::Tensor apart = at::where(alike, 0, (a - b).abs());
  const double scale = std::max(term, largest(b));
  const double worst =
      apart.nan_to_num(std::numeric_limits<double>::infinity()).max().item<double>();
  return scale > 0 ? worst / scale : worst;
}

// Of a channel with a NaN or an infinity the largest value depends on the order of the comparisons, and
// nothing depends on it: its softmax is NaN in any case, as its sum of exponentials is.
at::Tensor without_the_undefined(const std::string& name, const at::Tensor& value) {
  if (name != "channel_stats") return value;
  constexpr int64_t kLargest = 0, kInverseSum = 1;
  const at::Tensor defined = value.clone();
  defined[kLargest].masked_fill_(defined[kInverseSum].isfinite().logical_not(), 0);
  return defined;
}

// In units of the largest value or term. The kernel and the CPU operator add the same numbers in their own
// orders, and each has its own exp. A rounding is off by at most 2^-24 in float32, 2^-53 in float64; as it
// is by chance up or down, k of them add up to about sqrt(k / 3) such units. The longest chains are a
// lane's share of a channel: of 20,000 values in 16 lanes 1,250 roundings, so 20 units of a sixteenth of
// the sum, 5 of the whole. 32 are far beyond that, and far below a wrong term. Half types: float32 results
// on either side of a boundary are one step apart, 2^-7 or 2^-10 of the value. Bytes and choices are equal.
double allowed(const std::string& op, at::ScalarType input, at::ScalarType result) {
  constexpr double kRoundings = 32;
  if (op.starts_with("gather_augment")) return 0;  // each of its roundings is prescribed
  // Sums over values that are not double run in float32, even if they are stored in double.
  const bool is_float_sum = result == at::kDouble && input != at::kDouble;
  switch (is_float_sum ? at::kFloat : result) {
    case at::kDouble: return kRoundings * 0x1p-53;
    case at::kFloat: return kRoundings * 0x1p-24;
    case at::kBFloat16: return 0x1p-7;
    case at::kHalf: return 0x1p-10;
    default: return 0;
  }
}

void compare_call(const c10::OperatorHandle& op, Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard not_again(kBelowAutograd);
  const at::AutoDispatchBelowADInplaceOrView below;
  const std::string name = op.operator_name().name.substr(kSpace.size());
  const size_t count = op.schema().arguments().size();
  const std::vector<at::IValue> arguments(stack->end() - static_cast<int64_t>(count), stack->end());
  const std::vector<Output> expected = call(op, arguments);
  const auto kernel =
      c10::Dispatcher::singleton().findSchemaOrThrow((kEmulatedSpace + name).c_str(), "");
  const at::Tensor& input = main_tensor(op.schema(), arguments);
  std::string key = name + " " + c10::toString(input.scalar_type());
  const at::ScalarType result = expected.back().value.scalar_type();
  if (name == "gather_augment") key += c10::str(" to ", result);
  Seen& line = seen[key];
  ++line.calls;
  line.shapes.insert(input.sizes().vec());
  line.layouts.insert(layout_of(input));
  const std::string what = key + " " + c10::str(input.sizes()) + " " + layout_of(input) + ": ";
  std::vector<Output> actual;
  const std::vector<Order> all = orders(line.calls);
  line.in_all_orders += all.size() > 1;
  for (const Order& order : all) {
    set_order(order);
    const std::vector<Output> outputs = call(kernel, arguments);
    set_order({});
    if (actual.empty()) {
      actual = outputs;
      continue;
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (same_bits(outputs[i].value, actual[i].value)) continue;
      line.wrong.push_back(what + outputs[i].name + " depends on the order of threads");
    }
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto& [of, value] = expected[i];
    const bool same_form = value.scalar_type() == actual[i].value.scalar_type() &&
                           value.sizes() == actual[i].value.sizes() &&
                           value.strides() == actual[i].value.strides();
    const double term = largest_term(op.schema(), arguments, expected, of);
    const double apart = same_form ? difference(without_the_undefined(of, actual[i].value),
                                                without_the_undefined(of, value), term)
                                   : std::numeric_limits<double>::infinity();
    double& most = line.differences[of];
    most = std::max(most, apart);
    if (apart > allowed(name, input.scalar_type(), value.scalar_type())) {
      line.wrong.push_back(what + of + " differs by " + c10::str(apart) + " of the largest value");
    }
  }
  // The caller gets what the kernel gave, and the notice that it has written.
  auto output = actual.begin();
  for (size_t i = 0; i < count; ++i) {
    if (!is_mutable(op.schema().arguments()[i]) || !arguments[i].isTensor()) continue;
    const at::Tensor& given = arguments[i].toTensor();
    given.copy_(output->value);
    if (output->value._version() > 0) given.unsafeGetTensorImpl()->bump_version();
    ++output;
  }
  stack->resize(stack->size() - count);
  for (; output != actual.end(); ++output) stack->emplace_back(output->value);
}

}  // namespace

struct Comparison::Registrations {
  torch::Library schemas{torch::Library::FRAGMENT, "mcloss_emulated", std::nullopt, __FILE__,
                         __LINE__};
  torch::Library comparing{torch::Library::IMPL, "mcloss", kBelowAutograd, __FILE__, __LINE__};
  torch::Library others{torch::Library::IMPL, "_", kBelowAutograd, __FILE__, __LINE__};
  c10::impl::IncludeDispatchKeyGuard first{kBelowAutograd};
};

Comparison::Comparison() : registrations_(std::make_unique<Registrations>()) {
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const c10::OperatorName& emulated : dispatcher.getAllOpNames()) {
    if (emulated.name.rfind(kEmulatedSpace, 0) != 0) continue;
    const std::string name = emulated.name.substr(kEmulatedSpace.size());
    const auto op = dispatcher.findSchemaOrThrow((kSpace + name).c_str(), "");
    registrations_->schemas.def(op.schema().cloneWithName(emulated.name, ""));
    registrations_->comparing.impl(name.c_str(),
                                   torch::CppFunction::makeFromBoxedFunction<&compare_call>());
  }
  registrations_->others.fallback(torch::CppFunction::makeFallthrough());
}

Comparison::~Comparison() = default;

void Comparison::report() const {
  for (const auto& [name, line] : seen) {
    test::test_case(c10::str("kernel of ", name), [&] {
      test::check(line.wrong.empty(), name);
      for (size_t i = 0; i < std::min<size_t>(line.wrong.size(), 5); ++i) {
        std::printf("  %s\n", line.wrong[i].c_str());
      }
    });
    std::string words;
    constexpr size_t kMostShapes = 12;
    size_t listed = 0;
    for (const auto& shape : line.shapes) {
      if (++listed > kMostShapes) break;
      words += c10::str(" ", c10::IntArrayRef(shape));
    }
    if (line.shapes.size() > kMostShapes) {
      words += c10::str(" and ", line.shapes.size() - kMostShapes, " more");
    }
    std::printf("%s: %lld calls, %lld of them in all orders; shapes%s;", name.c_str(),
                static_cast<long long>(line.calls), static_cast<long long>(line.in_all_orders),
                words.c_str());
    for (const std::string& layout : line.layouts) std::printf(" %s", layout.c_str());
    std::printf("; largest differences:");
    for (const auto& [of, most] : line.differences) std::printf(" %s %.1e", of.c_str(), most);
    std::printf("\n");
  }
}

}  // namespace emulation
