require 'erb'
require 'json'

# Open reads a hash's keys as methods; what is missing is nil.
class Open
  def initialize(hash) = @hash = hash
  def [](key) = Open.of(@hash[key.to_s])
  def to_h = @hash
  def to_json(*args) = @hash.to_json(*args)
  def respond_to_missing?(*) = true
  def method_missing(name, *args)
    return super if !args.empty? || %i[to_ary to_str to_hash].include?(name)
    Open.of(@hash[name.to_s])
  end
  def self.of(value)
    case value
    when Hash then Open.new(value)
    when Array then value.map { |v| Open.of(v) }
    else value
    end
  end
end

class UnknownProperty < StandardError; end

class Else
  def initialize(context, active) = (@context, @active = context, active)
  def else = @active ? yield : nil
  def else_if_p(*names, &block) = @active ? @context.if_p(*names, &block) : self
end

class Context
  attr_reader :name, :index, :properties, :raw_properties, :spec
  def initialize(spec)
    @raw_properties = spec['properties'] || {}
    job = spec['job']
    @name = job.is_a?(Hash) ? job['name'] : nil
    @index = spec['index']
    @properties = Open.of(@raw_properties)
    @spec = Open.of(spec)
  end
  def p(names, *default)
    names = Array(names)
    names.each { |n| value = lookup(n); return value unless value.nil? }
    return default[0] unless default.empty?
    raise UnknownProperty, "Can't find property '#{names.join("', or '")}'"
  end
  def if_p(*names)
    values = names.map { |n| lookup(n) }
    return Else.new(self, true) if values.any?(&:nil?)
    yield(*values)
    Else.new(self, false)
  end
  def get_binding = binding
  private
  def lookup(name)
    name.split('.').reduce(@raw_properties) { |at, key| at.is_a?(Hash) ? at[key] : nil }
  end
end

def leaves(value)
  case value
  when Hash then value.values.flat_map { |v| leaves(v) }
  when Array then value.flat_map { |v| leaves(v) }
  else [value.to_s]
  end
end

out = $stdout.dup
$stdout.reopen($stderr) # a template may print
input = JSON.parse($stdin.read)
context = Context.new(input['spec'])
rendered = input['files'].map do |file|
  begin
    erb = ERB.new(file['text'], trim_mode: '-')
    erb.filename = 'template'
    { 'text' => erb.result(context.get_binding).dup.force_encoding('UTF-8') }
  rescue Exception => e
    place = (e.backtrace || []).grep(/\Atemplate:(\d+)/) { $1 }.first || e.message[/template:(\d+)/, 1] || '?'
    message = e.message.lines.first.to_s.strip
    leaves(context.raw_properties).select { |s| s.length > 3 }.sort_by { |s| -s.length }.each { |s| message = message.gsub(s, '...') }
    { 'line' => place, 'error' => message }
  end
end
out.write(JSON.generate('files' => rendered))
