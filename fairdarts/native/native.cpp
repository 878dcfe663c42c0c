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
          pulled.template fill<L, M>(pull + image * g.out(), g.channels, c, nullptr, nullptr, 0);
          copy.template fill<L, M>(x + image * g.in(), g.channels, c, nullptr, nullptr, 0);
          add_taps<T, L, M>(g, all.of(part), pulled, copy, c);
        });
    });
  }
  std::ranges::copy(turned(taps.data(), size, g.channels), gradient);
}

// ---- units: a depthwise convolution or none, which gives y, a pointwise one of weight [D, C], which gives raw, and a
// BatchNorm without weights. A unit reads x, or where another one is before it the ReLU of that one's output, given as its
// raw and what is known of that.

template <class T>
constexpr T RELU_LIMIT = std::numeric_limits<T>::infinity();
constexpr Int TILED = 64;  // rows that stay near while several things are done with them

template <class T>
struct Affine {
  std::vector<T> scale, shift;

  // raw -> gate * (raw - mean) / deviation
  Affine(const T* known, Int width, T gate = 1) : scale(known ? width : 0), shift(scale) {
    for (Int d = 0; d < Int(scale.size()); ++d) scale[d] = known[width + d] * gate, shift[d] = -known[d] * scale[d];
  }
};

// Makes y, raw, and what is `known` of raw, mean and 1 / deviation [2, D], to which the running statistics move.
template <class T>
void enter(const Geometry& g, Int width, const T* x, const T* before, const T* kernel, const T* weight, T* y, T* raw, T* known, T eps,
           T* running_mean, T* running_var, Int* batches, T momentum, int threads) {
  const Int c = g.channels, pixels = g.pixels(), count = g.images * pixels;
  const std::vector<T> taps = turned(kernel, c, g.kernel * g.kernel), matrix = turned(weight, width, c);
  const Affine<T> entry(before, c);
  std::vector<T> sum(width), square(width);
  {
    Sums<T> sums(known ? sum.data() : nullptr, width), squares(known ? square.data() : nullptr, width);
    in_parts(g.images, threads, [&](Int part, Int first, Int last) {
      Padded<T> copy(kernel ? g.height : 0, kernel ? g.width : 0, g.radius(), g.stride);
      for (Int image = first; image < last; ++image) {
        const T* read = x + image * g.in();
        T *to = y + image * g.out(), *out = raw + image * pixels * width;
        const Scaled<T> term{read, entry.scale.data()};
        if (kernel)
          over_channels<T>(c, [&]<int L, int M>(Int channel) {
            copy.template fill<L, M>(read, c, channel, before ? entry.scale.data() : nullptr, entry.shift.data(), RELU_LIMIT<T>);
            forward<T, L, M>(g, copy, taps.data(), to, channel);
          });
        else if (before)
          combine<T>(to, pixels, c, &term, 1, entry.shift.data(), RELU_LIMIT<T>);
        if (kernel || before) read = to;
        const Product<T> product{read, matrix.data(), c};
        for (Int row = 0; row < pixels; row += TILED) {
          const Int rows = std::min(TILED, pixels - row);
          products<T>(out + row * width, rows, width, &product, 1, row, nullptr, false, T(0));
          if (!known) continue;
          add_sum<T>(sums.of(part), out + row * width, width, rows);
          add_sum<T>(squares.of(part), out + row * width, width, rows, out + row * width);
        }
      }
    });
  }
  if (!known) return;
  for (Int d = 0; d < width; ++d) {
    const T mean = sum[d] / count, variance = std::max(square[d] / count - mean * mean, T(0));
    known[d] = mean, known[width + d] = 1 / std::sqrt(variance + eps);
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

// sum [D] of a pull's rows [N, D]; dots [K, D] of the pull with the rows of every term
template <class T>
void dots(Int rows, Int width, Int count, const T* pull, const Gated<T>* terms, T* sum, T* dot, int threads) {
  Sums<T> sums(sum, width), all_dots(dot, count * width);
  in_parts(rows, threads, [&](Int part, Int first, Int last) {
    for (Int row = first; row < last; row += TILED) {
      const Int at = row * width, its = std::min(TILED, last - row);
      add_sum<T>(sums.of(part), pull + at, width, its);
      for (Int k = 0; k < count; ++k) add_sum<T>(all_dots.of(part) + k * width, pull + at, width, its, terms[k].rows + at);
    }
  });
}

// The gradients of a unit under a pull [N, D] on what comes out of its BatchNorm and gate, of which the sum is known, and
// the sum of its products with raw: of gate (`along`), weight and kernel; and of x into of_x, `add`ed to what is there. Where
// another unit is before it, that is the pull on what comes out there, whose sums [2, C] are in `of_before`.
template <class T>
void leave(const Geometry& g, Int width, const T* pull, const T* sum, const T* dot, T gate, const T* raw, const T* known, const T* y,
           const T* weight, const T* x, const T* before, const T* kernel, T* along, T* of_x, bool add, T* of_before, T* of_kernel,
           T* of_weight, int threads) {
  const Int c = g.channels, pixels = g.pixels(), count = g.images * pixels, size = g.kernel * g.kernel;
  std::vector<T> of_pull(width), of_raw(width), shift(width);
  *along = 0;
  for (Int d = 0; d < width; ++d) {
    const T mean = known[d], inverse = known[width + d], its = inverse * (dot[d] - mean * sum[d]);
    *along += its;
    of_pull[d] = gate * inverse, of_raw[d] = -of_pull[d] * inverse * its / count;
    shift[d] = -of_pull[d] * sum[d] / count - of_raw[d] * mean;
  }
  if (!of_x && !of_kernel && !of_weight) return;
  const std::vector<T> taps = turned(kernel, c, size);
  const Affine<T> entry(before, c);
  std::vector<T> of_taps(size * c);
  {
    Sums<T> all_taps(of_kernel ? of_taps.data() : nullptr, size * c), weights(of_weight, width * c), befores(of_before, 2 * c);
    in_parts(g.images, threads, [&](Int part, Int first, Int last) {
      std::vector<T> pulled(TILED * width), spread(g.out()), made(before && !kernel ? g.in() : 0);
      Padded<T> pull_copy(kernel ? g.out_height : 0, g.out_width, g.radius(), 1), copy(kernel ? g.height : 0, g.width, g.radius(), g.stride);
      for (Int image = first; image < last; ++image) {
        for (Int row = 0; row < pixels; row += TILED) {
          const Int rows = std::min(TILED, pixels - row), at = (image * pixels + row) * width;
          const Scaled<T> terms[] = {{pull + at, of_pull.data()}, {raw + at, of_raw.data()}};
          combine<T>(pulled.data(), rows, width, terms, 2, shift.data(), T(0));
          if (of_weight) add_cross<T>(weights.of(part), pulled.data(), width, y + image * g.out() + row * c, c, rows);
          const Product<T> product{pulled.data(), weight, width};
          products<T>(spread.data() + row * c, rows, c, &product, 1, 0, nullptr, false, T(0));
        }
        const T* read = x + image * g.in();
        T* to = of_x + image * g.in();
        if (kernel) {
          over_channels<T>(c, [&]<int L, int M>(Int channel) {
            pull_copy.template fill<L, M>(spread.data(), c, channel, nullptr, nullptr, 0);
            if (before || of_kernel)
              copy.template fill<L, M>(read, c, channel, before ? entry.scale.data() : nullptr, entry.shift.data(), RELU_LIMIT<T>);
            if (of_kernel) add_taps<T, L, M>(g, all_taps.of(part), pull_copy, copy, channel);
            if (of_x) backward<T, L, M>(g, pull_copy, taps.data(), to, channel, add, before ? &copy : nullptr, RELU_LIMIT<T>);
          });
        } else if (of_x) {
          const Scaled<T> term{read, entry.scale.data()};
          if (before) combine<T>(made.data(), pixels, c, &term, 1, entry.shift.data(), RELU_LIMIT<T>);
          finish<T>(to, spread.data(), pixels, c, before ? made.data() : nullptr, RELU_LIMIT<T>, add);
        }
        if (!before || !of_x) continue;
        add_sum<T>(befores.of(part), to, c, g.height * g.width);
        add_sum<T>(befores.of(part) + c, to, c, g.height * g.width, read);
      }
    });
  }
  if (of_kernel) std::ranges::copy(turned(of_taps.data(), size, c), of_kernel);
}

#define EXPORTED(T, NAME)                                                                                                         \
  extern "C" void kernel_gradient_##NAME(const Geometry* g, const T* pull, const T* x, T* gradient, int threads) {                \
    kernel_gradient<T>(*g, pull, x, gradient, threads);                                                                           \
  }                                                                                                                               \
  extern "C" void enter_##NAME(const Geometry* g, Int width, const T* x, const T* before, const T* kernel, const T* weight, T* y, \
                               T* raw, T* known, T eps, T* running_mean, T* running_var, Int* batches, T momentum, int threads) { \
    enter<T>(*g, width, x, before, kernel, weight, y, raw, known, eps, running_mean, running_var, batches, momentum, threads);    \
  }                                                                                                                               \
  extern "C" void add_up_##NAME(Int rows, Int width, Int count, const Gated<T>* terms, T* out, int threads) {                     \
    add_up<T>(rows, width, count, terms, out, threads);                                                                           \
  }                                                                                                                               \
  extern "C" void dots_##NAME(Int rows, Int width, Int count, const T* pull, const Gated<T>* terms, T* sum, T* dot, int threads) { \
    dots<T>(rows, width, count, pull, terms, sum, dot, threads);                                                                  \
  }                                                                                                                               \
  extern "C" void leave_##NAME(const Geometry* g, Int width, const T* pull, const T* sum, const T* dot, T gate, const T* raw,     \
                               const T* known, const T* y, const T* weight, const T* x, const T* before, const T* kernel,         \
                               T* along, T* of_x, int add, T* of_before, T* of_kernel, T* of_weight, int threads) {               \
    leave<T>(*g, width, pull, sum, dot, gate, raw, known, y, weight, x, before, kernel, along, of_x, add, of_before, of_kernel,   \
             of_weight, threads);                                                                                                 \
  }

EXPORTED(float, float32)
EXPORTED(double, float64)
