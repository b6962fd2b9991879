// The parts of ops_test, one file each.
#pragma once

#include <string>

namespace test {

void channel_groups();
void mc_loss_fixtures(const std::string& folder);
void vectors();
void mc_loss_gradients();
void mc_loss_differential();
void mc_loss_edges();
void gather_augment_cases(const std::string& folder);
void gather_augment_edges();
void batch_norm_act_differential();
void batch_norm_act_edges();
void batch_norm_act_parts();
void winograd_conv_cases();
void step_sums();
void models();
void bilinear(const std::string& folder);
void pixels(const std::string& folder);
void losses();
void class_weights(const std::string& folder);
void optimizers(const std::string& folder);
void step();
void batch_inputs();
void device();
void kept_memory();
void threads();
void kernels(const std::string& fixtures);

}  // namespace test
