// The engine that runs the translator and the interpreter in lockstep, and stops at the first difference.
#pragma once

#include <memory>

#include "base/result.h"
#include "cpu/check/check_tier.h"
#include "cpu/translate/translator.h"

namespace doppel::cpu::check {

// The harts of a machine take turns. What devices write to memory while it is compared may look like a difference; it
// is looked at again then.
class Checker final : public Engine {
  public:
    // All is translated before it runs, whatever the options say. `report` is told of the first difference, on a hart's
    // thread; runs of the vCPUs return kFailed from then on.
    static Result<std::unique_ptr<Checker>> create(translate::Translator::Options options,
                                                   std::function<void(const std::string&)> report);

    std::string_view name() const override { return "check"; }
    std::unique_ptr<Vcpu> make_vcpu(const VcpuParts& parts) const override;
    void add_statistics(Statistics& statistics) const override { translator_->add_statistics(statistics); }
    void start_threads() override { translator_->start_threads(); }

  private:
    Checker(std::unique_ptr<translate::Translator> translator, std::shared_ptr<Comparison> comparison)
        : translator_(std::move(translator)), comparison_(std::move(comparison)) {}

    std::unique_ptr<translate::Translator> translator_;
    std::shared_ptr<Comparison> comparison_;
};

}  // namespace doppel::cpu::check
