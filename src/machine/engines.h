// The engines that a machine can run its harts by.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "cpu/vcpu.h"
#include "machine/spec/specification.h"
#include "machine/translation_store.h"

namespace doppel::machine {

class Engines {
  public:
    // The one that the specification chooses, and beside it, if `exchangeable`, those that can take its place later: a
    // confined process makes none. `translations`: what was translated before, or null; it outlives this.
    static Result<std::unique_ptr<Engines>> create(const Specification& specification,
                                                   const TranslationStore* translations, bool exchangeable);

    cpu::Engine& current() const { return *current_; }
    // That becomes the present one; an error: it is not there, or the present one cannot be left (check).
    Result<> choose(EngineChoice choice);
    // As Engine::start_threads, of all.
    void start_threads() const;
    // What each has counted besides its vCPUs.
    void add_statistics(cpu::Statistics& statistics) const;

  private:
    std::vector<std::unique_ptr<cpu::Engine>> engines_;
    cpu::Engine* current_ = nullptr;
};

}  // namespace doppel::machine
