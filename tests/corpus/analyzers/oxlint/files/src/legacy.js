/* global jQuery */
(function ($) {
  var self = this;
  var pending = 0;

  $.fn.counter = function (options) {
    var settings = $.extend({ step: 1 }, options);
    return this.each(function () {
      var $element = $(this);
      $element.on('click', function (event) {
        pending++;
        $element.text(parseInt($element.text() || '0', 10) + settings.step);
        !event.shiftKey && $element.trigger('counted');
        pending--;
      });
    });
  };

  $.fn.reset = function (callback, unused) {
    for (var i = 0; i < this.length; i--) {
      this[i].textContent = '0';
    }
    callback && callback(pending);
  };
})(jQuery);
