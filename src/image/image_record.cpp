// image.json: the record of an image.
#include <nlohmann/json.hpp>

#include "image/catalog.h"

namespace doppel::image {

namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

bool get(const Json& object, const char* key, std::string& value) {
    auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return false;
    value = found->get_ref<const std::string&>();
    return true;
}

bool get_packages(const Json& record, Image& image) {
    auto packages = record.find("packages");
    if (packages == record.end() || !packages->is_object()) return false;
    for (const auto& [name, version] : packages->items()) {
        if (!version.is_string()) return false;
        image.packages[name] = version.get_ref<const std::string&>();
    }
    return true;
}

bool get_files(const Json& record, Image& image) {
    auto files = record.find("files");
    if (files == record.end() || !files->is_object()) return false;
    for (const auto& [name, properties] : files->items()) {
        ImageFile file;
        if (!is_image_name(name) || !properties.is_object()) return false;
        auto size = properties.find("size");
        if (size == properties.end() || !size->is_number_unsigned()) return false;
        if (!get(properties, "sha256", file.sha256) || file.sha256.size() != 64) return false;
        file.size = size->get<uint64_t>();
        image.files[name] = std::move(file);
    }
    return image.files.contains("kernel") && image.files.contains("initrd");
}

}  // namespace

std::string to_json(const Image& image) {
    Json files = Json::object();
    for (const auto& [name, file] : image.files) files[name] = {{"size", file.size}, {"sha256", file.sha256}};
    Json record{{"format", kFormat},
                {"name", image.name},
                {"arch", image.arch},
                {"kind", image.kind},
                {"description", image.description},
                {"created", image.created},
                {"append", image.append},
                {"kernel_version", image.kernel_version},
                {"packages", image.packages},
                {"files", std::move(files)}};
    return record.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Image> parse_image(std::string_view json, std::string_view subject) {
    auto bad = [&](std::string why) {
        return fail(Error{"read image", std::string(subject), std::move(why), "make the image again"});
    };
    Json record = Json::parse(json, nullptr, false);
    if (!record.is_object()) return bad("it is not a JSON object");
    auto format = record.find("format");
    if (format == record.end() || *format != kFormat) return bad("it has a format that this version does not know");
    Image image;
    for (auto [key, value] : {std::pair{"name", &image.name},
                              {"arch", &image.arch},
                              {"kind", &image.kind},
                              {"description", &image.description},
                              {"created", &image.created},
                              {"append", &image.append},
                              {"kernel_version", &image.kernel_version}}) {
        if (!get(record, key, *value)) return bad("\"" + std::string(key) + "\" is missing or not a text");
    }
    if (!get_packages(record, image)) return bad("\"packages\" is missing or wrong");
    if (!get_files(record, image)) return bad("\"files\" is missing or wrong");
    return image;
}

}  // namespace doppel::image
