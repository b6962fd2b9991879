// The peer of bench/driver-overhead.mjs: its steps driven from C++, with no Node.js around them. Both
// sides start from the initial weights of one seed.
// The first line on stdin describes the trainer and its batches, every further one asks for steps:
// {"first": 0, "count": 10} -> {"ms": wall time, "loss": mean}. It waits on the pipe in between.

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "train/step/trainer.h"

namespace {

struct Request {
  std::map<std::string, std::string> text;
  std::map<std::string, int64_t> number;
};

// A flat object of integers and of strings without escapes, as line-process.mjs sends it.
Request parse(const std::string& line) {
  static const std::regex member("\"(\\w+)\":(?:\"([^\"]*)\"|(\\d+))");
  Request request;
  for (std::sregex_iterator at(line.begin(), line.end(), member), end; at != end; ++at) {
    if ((*at)[3].matched) {
      request.number[(*at)[1]] = std::stoll((*at)[3]);
    } else {
      request.text[(*at)[1]] = (*at)[2];
    }
  }
  return request;
}

template <typename T>
std::vector<T> read_file(const std::string& path, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), count * static_cast<int64_t>(sizeof(T)));
  if (!file) throw mcloss::Error("E_IO", "driver: " + path + " is shorter than expected");
  return values;
}

// The same settings as bench/train-setup.mjs.
constexpr double kLearningRate = 0.001;
constexpr uint64_t kSeed = 7;

mcloss::TrainerConfig config_of(const Request& request) {
  mcloss::TrainerConfig config;
  config.model.backbone = request.text.at("backbone");
  config.model.head = request.text.at("head");
  config.model.num_classes = request.number.at("classes");
  config.model.input_height = config.model.input_width = request.number.at("size");
  config.optim.weight_decay = 5e-4;
  config.init_seed = kSeed;
  config.threads = static_cast<int>(request.number.at("threads"));
  return config;
}

void serve() {
  std::string line;
  std::getline(std::cin, line);
  const Request setup = parse(line);
  const int64_t batches = setup.number.at("batches"), batch = setup.number.at("batch");
  const int64_t side = setup.number.at("side"), bytes = batch * side * side * 3;
  const auto pixels = read_file<uint8_t>(setup.text.at("pixels"), batches * bytes);
  const auto windows = read_file<int32_t>(setup.text.at("windows"), batches * batch * 3);
  const auto labels = read_file<int32_t>(setup.text.at("labels"), batches * batch);
  mcloss::Trainer trainer(config_of(setup));
  std::cout.precision(9);
  std::cout << "{\"ready\": 1}" << std::endl;

  while (std::getline(std::cin, line)) {
    const Request request = parse(line);
    const int64_t first = request.number.at("first");
    const auto began = std::chrono::steady_clock::now();
    for (int64_t step = first; step < first + request.number.at("count"); ++step) {
      const int64_t i = step % batches;
      trainer.step({.count = batch,
                    .pixels = pixels.data() + i * bytes,
                    .height = side,
                    .width = side,
                    .windows = windows.data() + i * batch * 3,
                    .labels = labels.data() + i * batch},
                   {.step = step, .seed = kSeed, .lr = kLearningRate});
    }
    const mcloss::StepStats stats = trainer.stats();
    const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - began;
    std::cout << "{\"ms\": " << wall.count()
              << ", \"loss\": " << stats.loss / static_cast<double>(stats.n) << "}" << std::endl;
  }
}

}  // namespace

int main() {
  try {
    serve();
  } catch (const std::exception& error) {
    std::cout << "{\"error\": " << std::quoted(error.what()) << "}" << std::endl;
    return 1;
  }
}
