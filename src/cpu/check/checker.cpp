#include "cpu/check/checker.h"

#include <utility>

#include "cpu/interpret/runner.h"

namespace doppel::cpu::check {

Result<std::unique_ptr<Checker>> Checker::create(translate::Translator::Options options,
                                                 std::function<void(const std::string&)> report) {
    options.hot = 0;
    DOPPEL_TRY(auto translator, translate::Translator::create(options));
    auto comparison = std::make_shared<Comparison>();
    comparison->report = std::move(report);
    return std::unique_ptr<Checker>(new Checker(std::move(translator), std::move(comparison)));
}

std::unique_ptr<Vcpu> Checker::make_vcpu(const VcpuParts& parts) const {
    auto runner = std::make_unique<interpret::Runner>(parts);
    auto make = [&](interpret::NativeHost& host) { return translator_->make_tier(parts, host); };
    runner->set_native_tier(std::make_unique<CheckTier>(parts, comparison_, *runner, make), /*hot=*/0);
    return runner;
}

}  // namespace doppel::cpu::check
