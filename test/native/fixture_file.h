// The .safetensors files of test/fixtures, as the official writer lays them out: read by their text.
#pragma once

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/weight_dtypes.h"
#include "io/weights.h"

namespace test {

struct FixtureFile {
  mcloss::NamedTensors tensors;  // in the header's order
  std::map<std::string, std::string> metadata;
};

inline at::Tensor fixture_tensor(const std::string& dtype_name, const std::string& extents,
                                 std::string bytes) {
  std::vector<int64_t> shape;
  for (std::istringstream text(extents); text.good() && !extents.empty();) {
    std::string extent;
    std::getline(text, extent, ',');
    shape.push_back(std::stoll(extent));
  }
  const auto dtype =
      std::find_if(mcloss::weight_dtypes.begin(), mcloss::weight_dtypes.end(),
                   [&](const mcloss::WeightDtype& known) { return known.name == dtype_name; });
  if (dtype == mcloss::weight_dtypes.end()) throw std::runtime_error("fixture: " + dtype_name);
  const at::Tensor tensor = at::from_blob(bytes.data(), shape, dtype->type);
  if (tensor.nbytes() != bytes.size()) throw std::runtime_error("fixture: a wrong shape");
  return tensor.clone();
}

inline FixtureFile read_fixture(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(stream), {}};
  uint64_t length = 0;
  if (file.size() < sizeof length) throw std::runtime_error("fixture: cannot read " + path);
  std::memcpy(&length, file.data(), sizeof length);
  const std::string header = file.substr(8, length), data = file.substr(8 + length);

  static const std::regex entry(
      R"re("([^"]+)":\{"dtype":"(\w+)","shape":\[([\d,]*)\],"data_offsets":\[(\d+),(\d+)\]\})re");
  static const std::regex text(R"re("(\w+)":"([^"]*)")re");
  FixtureFile result;
  for (std::sregex_iterator it(header.begin(), header.end(), entry), end; it != end; ++it) {
    const uint64_t from = std::stoull((*it)[4]), to = std::stoull((*it)[5]);
    result.tensors.emplace_back((*it)[1],
                                fixture_tensor((*it)[2], (*it)[3], data.substr(from, to - from)));
  }
  const std::string metadata = header.substr(0, header.find('}'));
  if (metadata.find("__metadata__") == std::string::npos) return result;
  for (std::sregex_iterator it(metadata.begin(), metadata.end(), text), end; it != end; ++it) {
    result.metadata[(*it)[1]] = (*it)[2];
  }
  return result;
}

}  // namespace test
