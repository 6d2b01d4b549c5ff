// The engine that translates what is executed often to host code, and interprets the rest.
#pragma once

#include <memory>

#include "base/result.h"
#include "cpu/interpret/native_tier.h"
#include "cpu/vcpu.h"
#include "translate/techniques.h"

namespace doppel::cpu::translate {

class CodeCache;
class StoredCode;

// All vCPUs of one machine share the code; they may outlive the engine.
class Translator final : public Engine {
  public:
    struct Options {
        size_t cache_bytes = size_t{128} << 20;
        std::shared_ptr<StoredCode> stored = nullptr;  // from earlier machines, for later ones; null: nothing is kept
        doppel::translate::Techniques techniques{};
        uint32_t hot = 4;  // a block is translated when it was interpreted this often; 0: all, before they run
    };
    // An error: the host forbids generated code, or lacks what it needs.
    static Result<std::unique_ptr<Translator>> create(const Options& options);

    std::string_view name() const override { return "translate"; }
    std::unique_ptr<Vcpu> make_vcpu(const VcpuParts& parts) const override;
    void add_statistics(Statistics& statistics) const override;
    void start_threads() override;
    // The part of such a vCPU that runs translated code.
    std::unique_ptr<interpret::NativeTier> make_tier(const VcpuParts& parts, interpret::NativeHost& host) const;

  private:
    Translator(std::shared_ptr<CodeCache> cache, uint32_t hot) : cache_(std::move(cache)), hot_(hot) {}
    std::shared_ptr<CodeCache> cache_;
    uint32_t hot_;
};

}  // namespace doppel::cpu::translate
