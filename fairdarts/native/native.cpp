// The passes over large tensors that training on the CPU consists of, in float32 and float64.
//
// Tensors are contiguous, images channels_last. A batch is cut at places that depend on its size alone, and what its
// parts add up is added in their order: results do not depend on the number of threads.

#include <cmath>

#include "depthwise.h"

constexpr Int PARTS = 8;

// Calls body(part, first, last) for every part of `count` images or rows.
template <class Body>
void in_parts(Int count, int threads, Body body) {
  const Int parts = std::min(PARTS, count);
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (Int part = 0; part < parts; ++part) body(part, part * count / parts, (part + 1) * count / parts);
}

// Sums of every part, and in the end of all.
template <class T>
struct Sums {
  T* total;
  Int size;
  std::vector<T> parts;

  Sums(T* total, Int size) : total(total), size(size), parts(total ? PARTS * size : 0) {}
  T* of(Int part) { return total ? parts.data() + part * size : nullptr; }
  ~Sums() {
    if (!total) return;
    std::copy(parts.begin(), parts.begin() + size, total);
    for (Int part = 1; part < PARTS; ++part)
      for (Int i = 0; i < size; ++i) total[i] += parts[part * size + i];
  }
};

// taps [k * k, C] of a kernel [C, k * k], and the other way round
template <class T>
std::vector<T> turned(const T* from, Int rows, Int columns) {
  std::vector<T> to(from ? rows * columns : 0);
  if (from)
    for (Int row = 0; row < rows; ++row)
      for (Int column = 0; column < columns; ++column) to[column * rows + row] = from[row * columns + column];
  return to;
}

// The gradient of the kernel [C, k * k] of a depthwise convolution under a pull on its output.
template <class T>
void kernel_gradient(const Geometry& g, const T* pull, const T* x, T* gradient, int threads) {
  const Int size = g.kernel * g.kernel;
  std::vector<T> taps(size * g.channels);
  {
    Sums<T> all(taps.data(), size * g.channels);
    in_parts(g.images, threads, [&](Int part, Int first, Int last) {
      Padded<T> pulled(g.out_height, g.out_width, g.radius(), 1), copy(g.height, g.width, g.radius(), g.stride);
      for (Int image = first; image < last; ++image)
        over_channels<T>(g.channels, [&]<int L, int M>(Int c) {
          pulled.template copy<L, M>(pull + image * g.out(), g.channels, c);
          copy.template copy<L, M>(x + image * g.in(), g.channels, c);
          add_taps<T, L, M>(g, all.of(part), pulled, copy, c);
        });
    });
  }
  std::ranges::copy(turned(taps.data(), size, g.channels), gradient);
}

// ---- units: a depthwise convolution or none, which gives y, a pointwise one of weight [D, C] or none, which gives
// raw, and a BatchNorm. A unit reads x, or activated(norm(x)) where another one is before it, whose raw x is.

constexpr Int TILED = 128;  // rows that stay near while several things are done with them

// What is known of a BatchNorm's input: mean, 1 / deviation, and its weight and bias [4, D].
template <class T>
struct Affine {
  std::vector<T> scale, shift;

  // raw -> gate * norm(raw)
  Affine(const T* known, Int width, T gate = 1) : scale(known ? width : 0), shift(scale) {
    for (Int d = 0; d < Int(scale.size()); ++d) {
      const T factor = known[width + d] * known[2 * width + d];
      scale[d] = factor * gate, shift[d] = (known[3 * width + d] - known[d] * factor) * gate;
    }
  }
};

// What a unit reads, row by row.
template <class T>
struct Entry {
  const T* x;
  Affine<T> affine;
  Int channels;
  T limit;
  bool before;

  Entry(const T* x, const T* known, Int channels, T limit)
      : x(x), affine(known, channels), channels(channels), limit(limit), before(known) {}

  // rows from `first` on, in `buffer` if they are no rows of x
  const T* rows(T* buffer, Int first, Int count) const {
    const Scaled<T> term{x + first * channels, affine.scale.data()};
    if (!before) return term.rows;
    combine<T>(buffer, count, channels, &term, 1, affine.shift.data(), limit);
    return buffer;
  }

  // a padded copy of channels c on of an image that begins in a row
  template <int L, int M>
  void copy(Padded<T>& to, Int first, Int c) const {
    const T *image = x + first * channels + c, *scale = affine.scale.data() + c, *shift = affine.shift.data() + c;
    if (!before) return to.template copy<L, M>(x + first * channels, channels, c);
    to.template fill<L, M>([=, this](Int pixel, Int m) {
      const Vec<T, L> its = at<T, L>(image + pixel * channels + m) * at<T, L>(scale + m) + at<T, L>(shift + m);
      return activated<T, L>(its, limit);
    });
  }
};

// Makes y where there is a kernel, raw where there is a weight, and mean and deviation in `known` of the last of both,
// to which the running statistics move. Where all is `known` already, only y and raw are made.
template <class T>
void unit_forward(const Geometry& g, Int width, const T* x, const T* before, T limit, const T* kernel, const T* weight,
                  T* y, T* raw, T* known, bool again, const T* norm_weight, const T* norm_bias, T eps, T* running_mean,
                  T* running_var, Int* batches, T momentum, int threads) {
  const Int c = g.channels, pixels = g.pixels(), count = g.images * pixels;
  const std::vector<T> taps = turned(kernel, c, g.kernel * g.kernel);
  const Panels<T> matrix(weight, c, width, 1, c);
  const Entry<T> entry(x, before, c, limit);
  std::vector<Moments<T>> moments(PARTS);
  in_parts(kernel ? g.images : count, threads, [&](Int part, Int first, Int last) {
    Padded<T> copy(kernel ? g.height : 0, kernel ? g.width : 0, g.radius(), g.stride);
    std::vector<T> tile(kernel ? 0 : TILED * c);
    const auto through_point = [&](Int start, Int end) {
      for (; start < end; start += TILED) {
        const Int rows = std::min(TILED, end - start);
        const T* out = kernel ? y + start * c : entry.rows(tile.data(), start, rows);
        if (weight) {
          multiply<T>(raw + start * width, rows, width, out, matrix);
          out = raw + start * width;
        }
        if (!again) moments[part].add(out, width, rows);
      }
    };
    if (!kernel) through_point(first, last);
    for (Int image = first; kernel && image < last; ++image) {
      over_channels<T>(c, [&]<int L, int M>(Int channel) {
        entry.template copy<L, M>(copy, image * g.height * g.width, channel);
        forward<T, L, M>(g, copy, taps.data(), y + image * g.out(), channel);
      });
      through_point(image * pixels, (image + 1) * pixels);
    }
  });
  if (again) return;
  std::vector<T> means(width), variances(width);
  put_together(moments, width, means.data(), variances.data());
  for (Int d = 0; d < width; ++d) {
    const T mean = means[d], variance = variances[d];
    known[d] = mean, known[width + d] = 1 / std::sqrt(variance + eps);
    known[2 * width + d] = norm_weight ? norm_weight[d] : 1, known[3 * width + d] = norm_bias ? norm_bias[d] : 0;
    if (running_mean) running_mean[d] += momentum * (mean - running_mean[d]);
    if (running_var) running_var[d] += momentum * (variance * count / (count - 1) - running_var[d]);
  }
  if (batches) ++*batches;
}

// A term of a sum: rows [N, D] under a gate, and what is known of them where a BatchNorm is behind them.
template <class T>
struct Gated {
  const T* rows;
  const T* known;
  T gate;
};

// out [N, D] = sum of terms
template <class T>
void add_up(Int rows, Int width, Int count, const Gated<T>* terms, T* out, int threads) {
  std::vector<T> shift(width);
  std::vector<Affine<T>> affine;
  std::vector<Scaled<T>> scaled;
  for (Int k = 0; k < count; ++k) {
    affine.emplace_back(terms[k].known, width, terms[k].gate);
    if (!terms[k].known) affine[k].scale.assign(width, terms[k].gate), affine[k].shift.assign(width, 0);
    for (Int d = 0; d < width; ++d) shift[d] += affine[k].shift[d];
  }
  in_parts(rows, threads, [&](Int, Int first, Int last) {
    std::vector<Scaled<T>> its;
    for (Int k = 0; k < count; ++k) its.push_back({terms[k].rows + first * width, affine[k].scale.data()});
    combine<T>(out + first * width, last - first, width, its.data(), int(count), shift.data(), T(0));
  });
}

// sum [D] of a pull's rows [N, D]; dots [K, D] of the pull with the rows of every term less their mean, where it is
// known
template <class T>
void dots(Int rows, Int width, Int count, const T* pull, const Gated<T>* terms, T* sum, T* dot, int threads) {
  Sums<T> sums(sum, width), all_dots(dot, count * width);
  in_parts(rows, threads, [&](Int part, Int first, Int last) {
    for (Int row = first; row < last; row += TILED) {
      const Int start = row * width, its = std::min(TILED, last - row);
      for (Int k = 0; k < count; ++k)
        add_sums<T>(k ? nullptr : sums.of(part), all_dots.of(part) + k * width, pull + start, terms[k].rows + start,
                    terms[k].known, width, its);
    }
  });
}

// The gradients of a unit under a pull [N, D] on what comes out of its BatchNorm and gate, of which the sum is known,
// and the sum of its products with what the BatchNorm reads less its mean: of the BatchNorm's weight and bias without
// the gate [2, D], of weight and kernel; and of x into of_x, `add`ed to what is there. Where another unit is before it,
// that is the pull on what comes out of its BatchNorm, whose sums [2, C] are in `of_before`.
template <class T>
void unit_backward(const Geometry& g, Int width, const T* pull, const T* sum, const T* dot, T gate, const T* raw,
                   const T* known, const T* y, const T* weight, const T* x, const T* before, T limit, const T* kernel,
                   T* of_norm, T* of_gate, T* of_x, bool add, T* of_before, T* of_kernel, T* of_weight, int threads) {
  const Int c = g.channels, pixels = g.pixels(), count = g.images * pixels, size = g.kernel * g.kernel;
  std::vector<T> of_pull(width), of_raw(width), shift(width);
  for (Int d = 0; d < width; ++d) {
    const T mean = known[d], inverse = known[width + d], its = inverse * dot[d];
    of_norm[d] = its, of_norm[width + d] = sum[d];
    of_pull[d] = gate * inverse * known[2 * width + d], of_raw[d] = -of_pull[d] * inverse * its / count;
    shift[d] = -of_pull[d] * sum[d] / count - of_raw[d] * mean;
  }
  if (of_gate) {
    *of_gate = 0;
    for (Int d = 0; d < width; ++d)
      *of_gate += known[2 * width + d] * of_norm[d] + known[3 * width + d] * of_norm[width + d];
  }
  if (!of_x && !of_kernel && !of_weight) return;
  const std::vector<T> taps = turned(kernel, c, size);
  const Panels<T> matrix(weight, width, c, c, 1);
  const Entry<T> entry(x, before, c, limit);
  std::vector<T> of_taps(size * c);
  {
    Sums<T> all_taps(of_kernel ? of_taps.data() : nullptr, size * c), weights(of_weight, width * c),
        befores(of_before, 2 * c);
    in_parts(kernel ? g.images : count, threads, [&](Int part, Int first, Int last) {
      std::vector<T> pulled(TILED * width), tile(TILED * c), near(TILED * 2 * BYTES / sizeof(T)),
          of_y(kernel && weight ? g.out() : TILED * c);
      Padded<T> pull_copy(kernel ? g.out_height : 0, g.out_width, g.radius(), 1),
          copy(kernel ? g.height : 0, g.width, g.radius(), g.stride);
      const auto sum_up = [&](Int start, Int rows) {
        if (!of_before) return;
        add_sums<T>(befores.of(part), befores.of(part) + c, of_x + start * c, x + start * c, before, c, rows);
      };
      // of rows from `start` on the pull on what the pointwise convolution reads, into `its`
      const auto through_point = [&](Int start, Int rows, T* its, const T* read) {
        const Scaled<T> terms[] = {{pull + start * width, of_pull.data()}, {raw + start * width, of_raw.data()}};
        combine<T>(weight ? pulled.data() : its, rows, width, terms, 2, shift.data(), T(0));
        if (of_weight) add_cross<T>(weights.of(part), pulled.data(), width, read, c, rows, near.data());
        if (weight && (of_x || of_kernel)) multiply<T>(its, rows, c, pulled.data(), matrix);
      };
      for (Int start = first; !kernel && start < last; start += TILED) {
        const Int rows = std::min(TILED, last - start);
        const T* read = entry.rows(tile.data(), start, rows);
        through_point(start, rows, of_y.data(), read);
        if (of_x) finish<T>(of_x + start * c, of_y.data(), rows, c, before ? read : nullptr, limit, add);
        sum_up(start, rows);
      }
      for (Int image = first; kernel && image < last; ++image) {
        for (Int row = 0; weight && row < pixels; row += TILED)
          through_point(image * pixels + row, std::min(TILED, pixels - row), of_y.data() + row * c,
                        y + (image * pixels + row) * c);
        over_channels<T>(c, [&]<int L, int M>(Int channel) {
          if (weight) {
            pull_copy.template copy<L, M>(of_y.data(), c, channel);
          } else {
            const Int start = image * g.out() + channel;
            pull_copy.template fill<L, M>([&](Int pixel, Int m) {
              const Int place = start + pixel * c + m, its = channel + m;
              return at<T, L>(pull + place) * at<T, L>(&of_pull[its]) + at<T, L>(raw + place) * at<T, L>(&of_raw[its]) +
                     at<T, L>(&shift[its]);
            });
          }
          if (before || of_kernel) entry.template copy<L, M>(copy, image * g.height * g.width, channel);
          if (of_kernel) add_taps<T, L, M>(g, all_taps.of(part), pull_copy, copy, channel);
          if (of_x)
            backward<T, L, M>(g, pull_copy, taps.data(), of_x + image * g.in(), channel, add, before ? &copy : nullptr,
                              limit);
        });
        sum_up(image * g.height * g.width, g.height * g.width);
      }
    });
  }
  if (of_kernel) std::ranges::copy(turned(of_taps.data(), size, c), of_kernel);
}

#define EXPORTED(T, NAME)                                                                                             \
  extern "C" void kernel_gradient_##NAME(const Geometry* g, const T* pull, const T* x, T* gradient, int threads) {    \
    kernel_gradient<T>(*g, pull, x, gradient, threads);                                                               \
  }                                                                                                                   \
  extern "C" void unit_forward_##NAME(const Geometry* g, Int width, const T* x, const T* before, T limit,             \
                                      const T* kernel, const T* weight, T* y, T* raw, T* known, int again,            \
                                      const T* norm_weight, const T* norm_bias, T eps, T* running_mean,               \
                                      T* running_var, Int* batches, T momentum, int threads) {                        \
    unit_forward<T>(*g, width, x, before, limit, kernel, weight, y, raw, known, again, norm_weight, norm_bias, eps,   \
                    running_mean, running_var, batches, momentum, threads);                                           \
  }                                                                                                                   \
  extern "C" void add_up_##NAME(Int rows, Int width, Int count, const Gated<T>* terms, T* out, int threads) {         \
    add_up<T>(rows, width, count, terms, out, threads);                                                               \
  }                                                                                                                   \
  extern "C" void dots_##NAME(Int rows, Int width, Int count, const T* pull, const Gated<T>* terms, T* sum, T* dot,   \
                              int threads) {                                                                          \
    dots<T>(rows, width, count, pull, terms, sum, dot, threads);                                                      \
  }                                                                                                                   \
  extern "C" void unit_backward_##NAME(const Geometry* g, Int width, const T* pull, const T* sum, const T* dot,       \
                                       T gate, const T* raw, const T* known, const T* y, const T* weight, const T* x, \
                                       const T* before, T limit, const T* kernel, T* of_norm, T* of_gate, T* of_x,    \
                                       int add, T* of_before, T* of_kernel, T* of_weight, int threads) {              \
    unit_backward<T>(*g, width, pull, sum, dot, gate, raw, known, y, weight, x, before, limit, kernel, of_norm,       \
                     of_gate, of_x, add, of_before, of_kernel, of_weight, threads);                                   \
  }

EXPORTED(float, float32)
EXPORTED(double, float64)
