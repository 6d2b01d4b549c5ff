#include "machine/engines.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/progress.h"
#include "cpu/interpret/interpreter.h"
#if DOPPEL_TRANSLATE
#include "cpu/check/checker.h"
#include "cpu/translate/translator.h"
#endif

namespace doppel::machine {

namespace {

using MadeEngine = Result<std::unique_ptr<cpu::Engine>>;

#if DOPPEL_TRANSLATE

cpu::translate::Translator::Options options_of(const Specification& specification,
                                               const TranslationStore* translations) {
    cpu::translate::Translator::Options options{.cache_bytes = specification.code_cache,
                                                .techniques = specification.techniques};
    if (translations != nullptr) options.stored = translations->code();
    return options;
}

MadeEngine make_translator(const Specification& specification, const TranslationStore* translations) {
    DOPPEL_TRY(auto translator, cpu::translate::Translator::create(options_of(specification, translations)));
    return std::unique_ptr<cpu::Engine>(std::move(translator));
}

MadeEngine make_checker(const Specification& specification, const TranslationStore* translations) {
    auto tell = [](const std::string& difference) { write_past_progress(difference); };
    DOPPEL_TRY(auto checker, cpu::check::Checker::create(options_of(specification, translations), tell));
    return std::unique_ptr<cpu::Engine>(std::move(checker));
}

#else

MadeEngine make_translator(const Specification& specification, const TranslationStore*) {
    return fail(Error{fmt::format("--engine {}", name_of(specification.engine)), "this build",
                      "it was made without the translator", "use --engine interpret"});
}

constexpr auto make_checker = make_translator;

#endif

MadeEngine make_engine(const Specification& specification, const TranslationStore* translations) {
    if (specification.engine == EngineChoice::kCheck) return make_checker(specification, translations);
    if (specification.engine != EngineChoice::kInterpret) {
        auto translator = make_translator(specification, translations);
        if (translator || specification.engine == EngineChoice::kTranslate) return translator;
    }
    return std::make_unique<cpu::interpret::Interpreter>();
}

}  // namespace

Result<std::unique_ptr<Engines>> Engines::create(const Specification& specification,
                                                 const TranslationStore* translations, bool exchangeable) {
    auto engines = std::make_unique<Engines>();
    DOPPEL_TRY(auto chosen, make_engine(specification, translations));
    engines->current_ = chosen.get();
    engines->engines_.push_back(std::move(chosen));
    if (!exchangeable || specification.engine == EngineChoice::kCheck) return engines;
    if (engines->current_->name() != name_of(EngineChoice::kInterpret)) {
        engines->engines_.push_back(std::make_unique<cpu::interpret::Interpreter>());
    } else if (auto translator = make_translator(specification, translations)) {
        engines->engines_.push_back(std::move(*translator));
    }
    return engines;
}

Result<> Engines::choose(EngineChoice choice) {
    const std::string_view wanted = name_of(choice == EngineChoice::kAuto ? EngineChoice::kTranslate : choice);
    auto found = std::ranges::find(engines_, wanted, [](const auto& engine) { return engine->name(); });
    if (found == engines_.end()) {
        return fail(Error{"change the engine", std::string(wanted),
                          fmt::format("this machine has only {} at hand", current_->name()),
                          "stop it, and start it with another engine"});
    }
    current_ = found->get();
    return {};
}

void Engines::start_threads() const {
    for (const auto& engine : engines_) engine->start_threads();
}

void Engines::add_statistics(cpu::Statistics& statistics) const {
    for (const auto& engine : engines_) engine->add_statistics(statistics);
}

}  // namespace doppel::machine
